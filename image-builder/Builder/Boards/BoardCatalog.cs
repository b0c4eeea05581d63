using System.Reflection;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>The boards built into this program. They are files of <c>board-configs/</c>, embedded as resources.</summary>
internal static class BoardCatalog
{
    private const string Prefix = "board-configs/", FamilyPrefix = Prefix + "families/";

    private static readonly Assembly Here = typeof(BoardCatalog).Assembly;

    /// <summary>Names of all boards, in order.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Resources().Where(r => !r.StartsWith(FamilyPrefix, StringComparison.Ordinal)).Select(Path.GetFileNameWithoutExtension).OfType<string>().Order(StringComparer.Ordinal)];

    /// <summary>Names of the families that boards may extend.</summary>
    public static IReadOnlyList<string> Families { get; } =
        [.. Resources().Where(r => r.StartsWith(FamilyPrefix, StringComparison.Ordinal)).Select(Path.GetFileNameWithoutExtension).OfType<string>().Order(StringComparer.Ordinal)];

    private static readonly Lazy<IReadOnlyList<Board>> Loaded = new(() => [.. Names.Select(Load)]);

    /// <summary>All boards, in the order of their names.</summary>
    public static IReadOnlyList<Board> All => Loaded.Value;

    /// <summary>Finds a built-in board.</summary>
    /// <returns>The board, or null and a sentence that names what was probably meant.</returns>
    public static (Board? Board, string? Problem) Find(string name)
    {
        if (Names.Contains(name, StringComparer.Ordinal)) return (Load(name), null);
        var byMachine = All.Where(b => b.Machines.Contains(name, StringComparer.Ordinal)).Select(b => b.Name).ToList();
        if (byMachine.Count > 0) return (null, $"There is no board `{name}`, but {string.Join(", ", byMachine)} {(byMachine.Count == 1 ? "takes" : "take")} the Yocto MACHINE of that name: name the board.");
        var nearest = Nearest.To(name, Names);
        return (null, nearest is null
            ? $"There is no board `{name}`: `image-builder boards` lists those there are, and a path to a board file works too."
            : $"There is no board `{name}`: perhaps `{nearest}` was meant.");
    }

    /// <summary>The text of a built-in family.</summary>
    public static (TextReader Text, string FileName)? OpenFamily(string name) =>
        Families.Contains(name, StringComparer.Ordinal) ? Open($"{FamilyPrefix}{name}.yaml") : null;

    /// <summary>The text of a built-in board.</summary>
    public static (TextReader Text, string FileName) OpenBoard(string name) => Open($"{Prefix}{name}.yaml");

    private static Board Load(string name)
    {
        var (text, file) = OpenBoard(name);
        using (text)
        {
            var (board, diagnostics) = BoardFile.Read(text, file, OpenFamily);
            return board ?? throw new InvalidDataException(string.Join('\n', diagnostics));
        }
    }

    private static (TextReader Text, string FileName) Open(string resource) =>
        (new StreamReader(Here.GetManifestResourceStream(resource) ?? throw new FileNotFoundException(resource)), resource);

    private static IEnumerable<string> Resources() => Here.GetManifestResourceNames().Where(r => r.StartsWith(Prefix, StringComparison.Ordinal));
}
