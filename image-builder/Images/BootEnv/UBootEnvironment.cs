using System.Buffers.Binary;
using OsBuild.Images.Trees;

namespace OsBuild.Images.BootEnv;

/// <summary>U-Boot's environment (include/env_internal.h, little-endian): a CRC-32, on boards with two copies a serial number, and
/// <c>name=value</c> texts that end in a zero each, with one more at the end.</summary>
public static class UBootEnvironment
{
    private const int SingleHeader = 4;
    private const int RedundantHeader = 5;

    /// <summary>Reads an environment that has one copy.</summary>
    /// <exception cref="ImageException">Its checksum does not match.</exception>
    public static SortedDictionary<string, string> Read(ReadOnlySpan<byte> block) =>
        TryRead(block, SingleHeader) ?? throw new ImageException(ImageErrorKind.Corrupt,
            $"The U-Boot environment of {block.Length} bytes has a wrong checksum: it is damaged, empty, or of another size. U-Boot would take its built-in one.");

    /// <summary>Makes an environment that has one copy.</summary>
    /// <param name="variables">Names and values; written in ordinal order of the names.</param>
    /// <param name="size">CONFIG_ENV_SIZE of the board.</param>
    /// <exception cref="ImageException">The variables do not fit, or a name is impossible.</exception>
    public static byte[] Write(IReadOnlyDictionary<string, string> variables, int size) => Make(variables, size, SingleHeader);

    /// <summary>Reads an environment that has two copies, as U-Boot does: of two sound ones the later.</summary>
    /// <returns>The variables, and which copy they are from: 0 or 1.</returns>
    /// <exception cref="ImageException">Neither copy is sound.</exception>
    public static (SortedDictionary<string, string> Variables, int Copy) ReadRedundant(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        var (a, b) = (TryRead(first, RedundantHeader), TryRead(second, RedundantHeader));
        if (a is null && b is null)
            throw new ImageException(ImageErrorKind.Corrupt, "Both copies of the U-Boot environment have wrong checksums: they are damaged, empty, or of another size. U-Boot would take its built-in one.");
        return b is null || (a is not null && !IsLater(second[4], first[4])) ? (a!, 0) : (b, 1);
    }

    /// <summary>Makes the copy that must be written so that U-Boot takes the new variables, while the other one stays: a cut while it
    /// is written leaves the old variables.</summary>
    /// <param name="first">The first copy as it is on the disk, sound or not.</param>
    /// <param name="second">The second copy.</param>
    /// <param name="variables">All variables.</param>
    /// <returns>Which copy to write, 0 or 1, and its bytes.</returns>
    /// <exception cref="ImageException">The variables do not fit, or a name is impossible.</exception>
    public static (int Copy, byte[] Block) WriteRedundant(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, IReadOnlyDictionary<string, string> variables)
    {
        var (a, b) = (TryRead(first, RedundantHeader), TryRead(second, RedundantHeader));
        var keep = b is null || (a is not null && !IsLater(second[4], first[4])) ? 0 : 1;
        var nothing = a is null && b is null;
        var block = Make(variables, first.Length, RedundantHeader);
        block[4] = nothing ? (byte)1 : (byte)((keep == 0 ? first[4] : second[4]) + 1);
        return (nothing ? 0 : 1 - keep, block);
    }

    /// <summary>Serial numbers count in a circle of 256 (env/common.c, env_check_redund).</summary>
    private static bool IsLater(byte serial, byte other) => (serial, other) switch
    {
        (0, 255) => true,
        (255, 0) => false,
        _ => serial > other,
    };

    private static SortedDictionary<string, string>? TryRead(ReadOnlySpan<byte> block, int header)
    {
        if (block.Length <= header || BinaryPrimitives.ReadUInt32LittleEndian(block) != Crc32.Of(block[header..])) return null;
        var variables = new SortedDictionary<string, string>(StringComparer.Ordinal);
        for (var rest = block[header..]; ;)
        {
            var end = rest.IndexOf((byte)0);
            if (end <= 0) return variables;
            var text = UnixText.Decode(rest[..end]);
            var equals = text.IndexOf('=');
            if (equals > 0) variables[text[..equals]] = text[(equals + 1)..];
            rest = rest[(end + 1)..];
        }
    }

    private static byte[] Make(IReadOnlyDictionary<string, string> variables, int size, int header)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, header + 2);
        var bytes = new List<byte>();
        foreach (var (name, value) in variables.OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            if (name.Length == 0 || name.AsSpan().IndexOfAny('=', '\0') >= 0 || value.Contains('\0'))
                throw new ImageException(ImageErrorKind.Unsupported, $"'{name}' cannot be a variable of a U-Boot environment: a name has no '=', and nothing in it is a zero.");
            bytes.AddRange(UnixText.Encode($"{name}={value}"));
            bytes.Add(0);
        }

        bytes.Add(0);
        if (bytes.Count > size - header)
            throw new ImageException(ImageErrorKind.TooLarge, $"The variables need {bytes.Count} bytes, {bytes.Count - (size - header)} more than an environment of {size} bytes holds.");
        var block = new byte[size];
        bytes.CopyTo(block, header);
        BinaryPrimitives.WriteUInt32LittleEndian(block, Crc32.Of(block.AsSpan(header)));
        return block;
    }
}
