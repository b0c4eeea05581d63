using System.Text;
using OsBuild.Images.Trees;

namespace OsBuild.Images.BootEnv;

/// <summary>GRUB's environment block (grub-core/lib/envblk.c): 1,024 bytes of <c>name=value</c> lines, filled up with <c>#</c>. GRUB
/// rewrites it in place without knowing the file system, so its size must never change.</summary>
public static class GrubEnvironment
{
    /// <summary>Size of the block in bytes.</summary>
    public const int Size = 1024;

    private const string Header = "# GRUB Environment Block\n";

    /// <summary>Reads the variables of a block.</summary>
    /// <exception cref="ImageException">The bytes are no environment block.</exception>
    public static SortedDictionary<string, string> Read(ReadOnlySpan<byte> block)
    {
        if (block.Length != Size || !block.StartsWith(Encoding.ASCII.GetBytes(Header)))
            throw new ImageException(ImageErrorKind.Corrupt, $"A GRUB environment has {Size} bytes and starts with '{Header.TrimEnd()}', but this is something else ({block.Length} bytes). Make it anew.");
        var variables = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in Lines(UnixText.Decode(block)))
        {
            if (line.StartsWith('#')) continue;
            var equals = line.IndexOf('=');
            if (equals > 0) variables[line[..equals]] = line[(equals + 1)..];
        }

        return variables;
    }

    /// <summary>Makes a block of the variables, in ordinal order of their names.</summary>
    /// <exception cref="ImageException">They do not fit, or a name is impossible.</exception>
    public static byte[] Write(IReadOnlyDictionary<string, string> variables)
    {
        var text = new StringBuilder(Header);
        foreach (var (name, value) in variables.OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            if (name.Length == 0 || name[0] == '#' || name.AsSpan().IndexOfAny("=\n\\\0") >= 0 || value.Contains('\0'))
                throw new ImageException(ImageErrorKind.Unsupported, $"'{name}' cannot be a variable of a GRUB environment: no '=', backslash, line end or zero, and no '#' in front.");
            text.Append(name).Append('=').Append(value.Replace("\\", "\\\\").Replace("\n", "\\\n")).Append('\n');
        }

        var bytes = UnixText.Encode(text.ToString());
        if (bytes.Length > Size)
            throw new ImageException(ImageErrorKind.TooLarge, $"The variables need {bytes.Length} bytes, {bytes.Length - Size} more than the {Size} of a GRUB environment.");
        var block = new byte[Size];
        Array.Fill(block, (byte)'#');
        bytes.CopyTo(block, 0);
        return block;
    }

    /// <summary>Lines with their escapes undone: a backslash makes the next character, even a line end, part of the line.</summary>
    private static IEnumerable<string> Lines(string text)
    {
        var line = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 1 < text.Length) line.Append(text[++i]);
            else if (text[i] == '\n')
            {
                yield return line.ToString();
                line.Clear();
            }
            else
            {
                line.Append(text[i]);
            }
        }
    }
}
