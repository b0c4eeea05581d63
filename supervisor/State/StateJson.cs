using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Supervisor.State;

/// <summary>JSON of everything the supervisor keeps on disk. Nulls and defaults are left out: absent means default, in every version.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(HashedService))]
[JsonSerializable(typeof(TargetState))]
[JsonSerializable(typeof(Memory))]
[JsonSerializable(typeof(JournalEntry))]
[JsonSerializable(typeof(Handover))]
[JsonSerializable(typeof(UpdateRecord))]
[JsonSerializable(typeof(HostRecord))]
[JsonSerializable(typeof(HostRelease))]
internal sealed partial class StateJson : JsonSerializerContext;

/// <summary>A value of an enum by its name, as the serializer's own converter has it, which is ten times the code for each enum.</summary>
internal sealed class EnumName<T> : JsonConverter<T> where T : struct, Enum
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Enum.TryParse<T>(reader.GetString(), ignoreCase: true, out var value) ? value : throw new JsonException($"this is no {typeof(T).Name}");

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}
