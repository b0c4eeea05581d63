using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace OsBuild.Supervisor.Fleet;

/// <summary>JSON of the fleet's files and calls whose shape is ours to choose.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(FleetIdentity))]
[JsonSerializable(typeof(DeviceSettings))]
[JsonSerializable(typeof(SortedDictionary<string, long>))]
[JsonSerializable(typeof(JsonObject))]
internal sealed partial class FleetJson : JsonSerializerContext;
