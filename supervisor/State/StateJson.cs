using System.Text.Json.Serialization;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Supervisor.State;

/// <summary>JSON of everything the supervisor keeps on disk. Nulls and defaults are left out: absent means default, in every version.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true, PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(HashedService))]
[JsonSerializable(typeof(TargetState))]
[JsonSerializable(typeof(Memory))]
[JsonSerializable(typeof(JournalEntry))]
[JsonSerializable(typeof(Handover))]
[JsonSerializable(typeof(UpdateRecord))]
internal sealed partial class StateJson : JsonSerializerContext;
