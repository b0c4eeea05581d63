using System.Text;

namespace OsBuild.Images.Fat;

/// <summary>The rules of short and long names (Microsoft FAT specification 1.03, "Directory Structure" and "Long File Names").</summary>
internal static class FatNames
{
    private const string ForbiddenInLong = "\"*/:<>?\\|";
    private const string ForbiddenInShort = ForbiddenInLong + "+,.;=[] ";

    /// <summary>The upper half of code page 437, which firmware and Linux take for short names.</summary>
    private const string UpperHalf =
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

    /// <summary>Refuses a name that no FAT directory can hold.</summary>
    /// <exception cref="ImageException">The message says why.</exception>
    public static void Check(string name)
    {
        string? why = name switch
        {
            "" or "." or ".." => "it is no name",
            { Length: > 255 } => $"it has {name.Length} characters and 255 is the most",
            _ when name[^1] is '.' or ' ' => "it ends with a dot or a space",
            _ when name.IndexOfAny([.. ForbiddenInLong]) is >= 0 and var i => $"it contains {name[i]}",
            _ when name.Any(char.IsControl) => "it contains a control character",
            _ when HasLoneSurrogate(name) => "it is not valid Unicode",
            _ => null,
        };
        if (why is not null) throw new ImageException(ImageErrorKind.Unsupported, $"'{name}' cannot be a name on a FAT file system: {why}. Rename the file.");
    }

    /// <summary>Splits a path and checks every part.</summary>
    public static string[] Split(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0) throw new ImageException(ImageErrorKind.Unsupported, $"'{path}' names no file.");
        foreach (var part in parts) Check(part);
        return parts;
    }

    /// <summary>The eleven bytes of the short name, and whether a long name must stand beside it.</summary>
    /// <param name="name">The name as it is to be shown.</param>
    /// <param name="isTaken">Tells which short names the directory has.</param>
    /// <param name="lastNumbers">The last number given to each basis, for callers who add many names; else each is tried from 1 on.</param>
    public static (string Short, bool NeedsLong) ShortNameOf(string name, Func<string, bool> isTaken, Dictionary<string, int>? lastNumbers = null)
    {
        var dot = name.LastIndexOf('.');
        var (longBase, longExtension) = dot > 0 ? (name[..dot], name[(dot + 1)..]) : (name, "");
        var (basis, baseLost) = Basis(longBase, 8);
        var (extension, extensionLost) = Basis(longExtension, 3);
        var plain = basis.PadRight(8) + extension.PadRight(3);
        var exact = !baseLost && !extensionLost && basis.Length > 0;
        if (exact && !isTaken(plain)) return (plain, name != Shown(basis, extension));
        // The numeric tail of the specification, from ~1 on; the base gives way as the number gets longer.
        for (var n = 1 + (lastNumbers?.GetValueOrDefault(plain) ?? 0); n < 1_000_000; n++)
        {
            var tail = "~" + n;
            var candidate = (basis[..Math.Min(basis.Length, 8 - tail.Length)] + tail).PadRight(8) + extension.PadRight(3);
            if (isTaken(candidate)) continue;
            lastNumbers?[plain] = n;
            return (candidate, true);
        }

        throw new ImageException(ImageErrorKind.TooLarge, $"There is no free short name left for '{name}'.");
    }

    /// <summary>The directory slots of an entry: its long name when it needs one, then the entry itself.</summary>
    public static byte[] Slots(string name, bool needsLong, DirectoryEntry entry)
    {
        var pieces = needsLong ? LongPieces(name) : 0;
        var slots = new byte[(pieces + 1) * DirectoryEntry.Size];
        var checksum = Checksum(entry.ShortName!);
        for (var i = 0; i < pieces; i++)
        {
            var piece = pieces - 1 - i;
            var text = name[(piece * LongNameEntry.Units)..Math.Min(name.Length, (piece + 1) * LongNameEntry.Units)];
            new LongNameEntry
            {
                Order = (byte)((piece + 1) | (i == 0 ? LongNameEntry.Last : 0)),
                Text = text.Length < LongNameEntry.Units ? text + '\0' : text,
                Attributes = FatAttributes.LongName,
                Checksum = checksum,
            }.Write(slots.AsSpan(i * DirectoryEntry.Size, DirectoryEntry.Size));
        }

        entry.Write(slots.AsSpan(pieces * DirectoryEntry.Size));
        return slots;
    }

    /// <summary>Number of slots that <see cref="Slots"/> will give.</summary>
    public static int SlotCount(string name, bool needsLong) => needsLong ? LongPieces(name) + 1 : 1;

    /// <summary>The checksum that ties a long name to its short one (ChkSum of the specification).</summary>
    public static byte Checksum(string shortName)
    {
        byte sum = 0;
        foreach (var c in shortName) sum = (byte)(((sum & 1) << 7) + (sum >> 1) + (byte)c);
        return sum;
    }

    /// <summary>How a short name is shown, with the lower case that Windows NT marks in <see cref="DirectoryEntry.CaseBits"/>.</summary>
    public static string Shown(DirectoryEntry entry)
    {
        var raw = entry.ShortName!;
        // 0x05 stands for 0xE5, which would mean a deleted entry.
        if (raw[0] == '\x05') raw = '\xE5' + raw[1..];
        // What could lead out of a folder that the file is extracted to is not shown as it is.
        var text = new string([.. raw.Select(c => c is < ' ' or '/' or '\\' ? '_' : c < 0x80 ? c : UpperHalf[c - 0x80])]);
        var (basis, extension) = (text[..8].TrimEnd(' '), text[8..].TrimEnd(' '));
        if ((entry.CaseBits & 0x08) != 0) basis = basis.ToLowerInvariant();
        if ((entry.CaseBits & 0x10) != 0) extension = extension.ToLowerInvariant();
        return Shown(basis, extension);
    }

    private static string Shown(string basis, string extension) => extension.Length > 0 ? basis + "." + extension : basis;

    private static int LongPieces(string name) => (name.Length + LongNameEntry.Units - 1) / LongNameEntry.Units;

    /// <summary>The basis-name generation of the specification: upper case, no spaces, no leading dots, '_' for what cannot stand.</summary>
    private static (string Text, bool Lost) Basis(string text, int length)
    {
        var result = new StringBuilder();
        var lost = false;
        foreach (var c in text)
        {
            if (c is ' ' or '.')
            {
                lost = true;
                continue;
            }

            var legal = c is > ' ' and < '\x7f' && !ForbiddenInShort.Contains(c);
            lost |= !legal;
            result.Append(legal ? char.ToUpperInvariant(c) : '_');
        }

        lost |= result.Length > length;
        return (result.ToString(0, Math.Min(length, result.Length)), lost);
    }

    private static bool HasLoneSurrogate(string name)
    {
        for (var i = 0; i < name.Length; i++)
        {
            if (!char.IsSurrogate(name[i])) continue;
            if (!char.IsHighSurrogate(name[i]) || i + 1 == name.Length || !char.IsLowSurrogate(name[i + 1])) return true;
            i++;
        }

        return false;
    }
}
