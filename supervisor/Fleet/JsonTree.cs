using System.Text.Json;
using OsBuild.Supervisor.Compose;

namespace OsBuild.Supervisor.Fleet;

/// <summary>A composition in JSON as the tree the compose room reads. Nothing is put in for variables: the fleet has done that.</summary>
internal static class JsonTree
{
    private const int MaxDepth = 24;

    public static Node From(JsonElement json, string file, string path, int depth = 0)
    {
        if (depth > MaxDepth) throw new JsonException($"{path} is nested too deeply");
        return json.ValueKind switch
        {
            JsonValueKind.Object => new MapNode(file, 1, path, [.. json.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, From(p.Value, file, path.Length == 0 ? p.Name : $"{path}.{p.Name}", depth + 1)))]),
            JsonValueKind.Array => new ListNode(file, 1, path, [.. json.EnumerateArray().Select((e, i) => From(e, file, $"{path}[{i}]", depth + 1))]),
            JsonValueKind.Null => new ScalarNode(file, 1, path, "", Plain: true),
            JsonValueKind.String => new ScalarNode(file, 1, path, json.GetString()!, Plain: false),
            _ => new ScalarNode(file, 1, path, json.GetRawText(), Plain: true),
        };
    }

    public static MapNode Map(JsonElement json, string name, string file, string path) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? (MapNode)From(value, file, path) : new(file, 1, path, []);
}
