using System.Buffers.Binary;

namespace OsBuild.Images.Compression;

/// <summary>The header of a block (§3.1): what the block says of itself.</summary>
internal readonly record struct XzBlockHeader(int Size, ulong? Packed, ulong? Unpacked, long DictionarySize)
{
    /// <summary>Reads a header from its <see cref="Size"/> bytes, the CRC among them.</summary>
    public static XzBlockHeader Read(ReadOnlySpan<byte> from)
    {
        var body = from[..^4];
        if (BinaryPrimitives.ReadUInt32LittleEndian(from[^4..]) != Crc32Ieee.Append(0, body)) throw Bad("a block header's checksum does not match");
        var flags = body[1];
        if ((flags & 0x3C) != 0) throw Damage.Unsupported(XzFormat.Name, "block flags of a later version");
        var at = 2;
        ulong? packed = null, unpacked = null;
        if ((flags & 0x40) != 0) packed = Number(body, ref at);
        if ((flags & 0x80) != 0) unpacked = Number(body, ref at);
        if (packed == 0) throw Bad("an empty block");
        var dictionary = 0L;
        for (var i = 0; i <= (flags & 3); i++)
        {
            var filter = Number(body, ref at);
            if (Number(body, ref at) is var size && size > (ulong)(body.Length - at)) throw Bad("a filter is longer than its block header");
            if (filter != XzFormat.Lzma2) throw Damage.Unsupported(XzFormat.Name, $"the filter {NameOf(filter)}");
            if (size != 1 || body[at] > 40 || i != (flags & 3)) throw Bad("impossible LZMA2 properties");
            dictionary = XzFormat.DictionarySize(body[at++]);
        }

        return body[at..].ContainsAnyExcept((byte)0)
            ? throw Damage.Unsupported(XzFormat.Name, "block header fields of a later version")
            : new XzBlockHeader(from.Length, packed, unpacked, dictionary);
    }

    private static ImageException Bad(string what) => Damage.Corrupt(XzFormat.Name, what);

    private static ulong Number(ReadOnlySpan<byte> body, ref int at) =>
        XzFormat.TryReadNumber(body, ref at, out var value) ? value : throw Bad("a number in a block header is impossible");

    private static string NameOf(ulong filter) => filter switch
    {
        3 => "delta",
        4 => "x86",
        5 => "powerpc",
        6 => "ia64",
        7 => "arm",
        8 => "armthumb",
        9 => "sparc",
        0xA => "arm64",
        0xB => "riscv",
        _ => $"{filter:x}",
    };
}
