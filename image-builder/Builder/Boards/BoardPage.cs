using System.Text;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>The parts of board-configs/README.md that are made from the boards and the form.</summary>
internal static class BoardPage
{
    /// <summary>Every board as a row.</summary>
    public static string Boards(IReadOnlyList<Board> boards)
    {
        var text = new StringBuilder($"{boards.Count} boards, {boards.Count(b => b.Status != BoardStatus.LayoutOnly)} of them proven by a boot.\n\n");
        text.Append("| board | title | MACHINE | boot | table | slots | status |\n|---|---|---|---|---|---|---|\n");
        foreach (var b in boards)
            text.Append($"| [{b.Name}]({b.Name}.yaml) | {b.Title} | {string.Join(", ", b.Machines)} | {Words.Flow.Of(b.Boot.Flow)}, {Words.Loader.Of(b.Boot.Loader)} | {Words.Table.Of(b.Table.Kind)} | {Words.Scheme.Of(b.Slots.Scheme)} | {Words.Status.Of(b.Status)} |\n");
        return text.ToString();
    }

    /// <summary>Every key with its type and meaning.</summary>
    public static string Keys()
    {
        var text = new StringBuilder("| key | value | meaning |\n|---|---|---|\n");
        Rows(text, BoardForm.Root, "");
        return text.ToString();
    }

    private static void Rows(StringBuilder text, FormType.Map map, string path)
    {
        foreach (var key in map.Keys)
        {
            var name = path + key.Name;
            var below = key.Type switch { FormType.Map m => m, FormType.List { Item: FormType.Map m } => m, _ => null };
            text.Append($"| `{name}`{(key.Required ? " *" : "")} | {Value(key.Type)} | {key.Means} |\n");
            if (below is not null) Rows(text, below, name + (key.Type is FormType.List ? "[]." : "."));
        }
    }

    private static string Value(FormType type) => type switch
    {
        FormType.Map => "map",
        FormType.List { Item: FormType.Map } => "list of maps",
        FormType.List list => "list: " + Value(list.Item),
        FormType.Choice choice => string.Join("<br>", choice.Words.Select(w => $"`{w.Word}` {w.Means}")),
        _ => type.Says,
    };
}
