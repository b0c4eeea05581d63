namespace OsBuild.Supervisor.Compose;

/// <summary>Lays one service over another as compose-spec 13-merge says: maps are joined, lists are appended, commands and single values
/// replaced, and so is whatever says <c>!override</c>.</summary>
internal static class Merge
{
    private static readonly string[] Replaced = ["command", "entrypoint", "test"];
    private static readonly string[] PairLists = ["environment", "labels", "annotations", "extra_hosts", "sysctls", "depends_on", "networks", "storage_opt"];

    public static MapNode Maps(MapNode under, MapNode over)
    {
        var result = under;
        foreach (var (key, node) in over.Entries)
        {
            if (node is ScalarNode { Null: true } && result[key] is not null) result = result.Without(key);
            else result = result.With(key, result[key] is { } before ? Nodes(key, before, node) : node);
        }

        // Messages point at the service that was written down, not at what it extends.
        return result with { File = over.File, Line = over.Line, Path = over.Path };
    }

    private static Node Nodes(string key, Node under, Node over)
    {
        if (over.Replaces || Replaced.Contains(key)) return over;
        if (PairLists.Contains(key) && (under, over) is not (ListNode, ListNode)) (under, over) = (AsMap(under), AsMap(over));
        return (under, over) switch
        {
            (MapNode a, MapNode b) => Maps(a, b),
            // The later of two pairs with one key wins when the list is read.
            (ListNode a, ListNode b) => b with { Items = [.. a.Items, .. b.Items] },
            (ScalarNode { Null: false } a, ListNode b) => b with { Items = [a, .. b.Items] },
            (ListNode a, ScalarNode { Null: false } b) => a with { Items = [.. a.Items, b] },
            _ => over,
        };
    }

    private static Node AsMap(Node node) => node is not ListNode list ? node : new MapNode(node.File, node.Line, node.Path,
        [.. list.Items.OfType<ScalarNode>().Select(item => item.Value.IndexOf('=') is var at and >= 0
            ? new KeyValuePair<string, Node>(item.Value[..at], item with { Value = item.Value[(at + 1)..], Plain = false })
            : new KeyValuePair<string, Node>(item.Value, item with { Value = "", Plain = true }))]);
}
