using System.Security.Cryptography;
using System.Text;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>Reads board files: YAML → form → <see cref="Board"/>, with every mistake of a step told at once.</summary>
internal static class BoardFile
{
    /// <summary>Reads one board. <paramref name="openFamily"/> gives the text of a family by name, or null when there is none.</summary>
    /// <returns>The board, or null and why.</returns>
    public static (Board? Board, IReadOnlyList<Diagnostic> Diagnostics) Read(TextReader text, string fileName, Func<string, (TextReader Text, string FileName)?> openFamily)
    {
        var diagnostics = new List<Diagnostic>();
        var texts = text.ReadToEnd();
        var file = BoardYaml.Read(new StringReader(texts), fileName, diagnostics);
        if (file is null) return (null, diagnostics);
        var whole = file;
        if (file["extends"] is YamlNode.Scalar family) (whole, texts) = Extend(file, texts, family, openFamily, diagnostics);
        FormCheck.Check(whole ?? file, BoardForm.Root, "", diagnostics, whole is not null);
        if (diagnostics.Count > 0) return (null, [.. diagnostics.Distinct().OrderBy(d => d.Place.File == fileName ? 0 : 1).ThenBy(d => d.Place.Line)]);
        return (new BoardReader().Read(whole ?? file) with { Digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(texts))) }, diagnostics);
    }

    /// <summary>Reads one board whose family, if it has one, is among those built into this program.</summary>
    public static (Board? Board, IReadOnlyList<Diagnostic> Diagnostics) Read(TextReader text, string fileName) =>
        Read(text, fileName, BoardCatalog.OpenFamily);

    /// <summary>The board laid over its family, null when the family cannot be read, and the texts of both.</summary>
    private static (YamlNode.Map? Whole, string Texts) Extend(YamlNode.Map file, string texts, YamlNode.Scalar family, Func<string, (TextReader Text, string FileName)?> openFamily, List<Diagnostic> diagnostics)
    {
        if (openFamily(family.Text) is not { } found)
        {
            diagnostics.Add(new(family.Place, $"there is no family `{family.Text}`", Nearest.To(family.Text, BoardCatalog.Families) is { } nearest
                ? $"perhaps `{nearest}` was meant: the families are " + string.Join(", ", BoardCatalog.Families)
                : "the families are " + string.Join(", ", BoardCatalog.Families)));
            return (null, texts);
        }

        using var text = found.Text;
        var familyText = text.ReadToEnd();
        var parent = BoardYaml.Read(new StringReader(familyText), found.FileName, diagnostics);
        if (parent is null) return (null, texts);
        if (parent.Entries.FirstOrDefault(e => e.Key == "extends") is { } deeper)
            diagnostics.Add(new(deeper.Place, $"the family `{family.Text}` extends another", "a family stands on its own: write its keys out"));
        return (BoardYaml.Merge(parent, file), $"{texts}\n{familyText}");
    }
}
