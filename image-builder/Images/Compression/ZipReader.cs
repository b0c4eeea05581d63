using System.Buffers.Binary;
using System.Text;
using OsBuild.Images.Streams;

namespace OsBuild.Images.Compression;

/// <summary>Reads the one file of a zip archive (APPNOTE 6.3.10; zip64). The table of contents is read first, so that an archive with
/// several files is refused before anything is decoded.</summary>
internal static class ZipReader
{
    private const string Format = "zip";
    private const uint EndMagic = 0x06054B50, End64Magic = 0x06064B50, Locator64Magic = 0x07064B50, EntryMagic = 0x02014B50, LocalMagic = 0x04034B50;
    private const int EndSize = 22, Locator64Size = 20, End64Size = 56, EntrySize = 46, LocalSize = 30;
    private const int LargestDirectory = 16 << 20;

    private readonly record struct Entry(string Name, int Flags, int Method, uint Crc, long Packed, long Size, long Offset);

    private readonly record struct Directory(long Offset, long Size, long Count);

    public static Stream Open(Stream zip)
    {
        if (!zip.CanSeek)
            throw new ImageException(ImageErrorKind.Unsupported, "A zip archive can only be read from a file, because its table of contents is at its end; save it first.");
        var directory = FindDirectory(zip);
        var entry = OnlyFile(ReadEntries(zip, directory));
        if ((entry.Flags & 0x2041) != 0) throw Damage.Unsupported(Format, "encryption");
        Span<byte> local = stackalloc byte[LocalSize];
        ReadAt(zip, entry.Offset, local);
        if (BinaryPrimitives.ReadUInt32LittleEndian(local) != LocalMagic) throw Damage.Corrupt(Format, "a file does not begin where it should");
        var start = entry.Offset + LocalSize + BinaryPrimitives.ReadUInt16LittleEndian(local[26..]) + BinaryPrimitives.ReadUInt16LittleEndian(local[28..]);
        if (start + entry.Packed > directory.Offset) throw Damage.Corrupt(Format, "a file reaches into the table of contents");
        return new ZipContent(Decoder(new SubStream(zip, start, entry.Packed), entry), entry.Size, entry.Crc);
    }

    private static Stream Decoder(Stream packed, Entry entry) => entry.Method switch
    {
        0 => packed,
        8 => new DeflateReader(packed, Format),
        12 => new Bzip2Reader(packed),
        93 => new ZstdReader(packed),
        95 => new XzReader(packed),
        9 => throw Damage.Unsupported(Format, "deflate64"),
        14 => throw Damage.Unsupported(Format, "LZMA"),
        98 => throw Damage.Unsupported(Format, "PPMd"),
        var method => throw Damage.Unsupported(Format, $"the compression method {method}"),
    };

    private static Entry OnlyFile(List<Entry> entries)
    {
        var files = entries.Where(e => !e.Name.EndsWith('/')).ToList();
        if (files.Count == 1) return files[0];
        if (files.Count == 0) throw new ImageException(ImageErrorKind.Unsupported, "The zip archive holds no file; one image is wanted.");
        var names = string.Join(", ", files.Take(4).Select(f => f.Name)) + (files.Count > 4 ? ", ..." : "");
        throw new ImageException(ImageErrorKind.Unsupported, $"The zip archive holds {files.Count} files ({names}); unpack it and choose one.");
    }

    private static void ReadAt(Stream zip, long offset, Span<byte> to)
    {
        if (offset < 0 || offset > zip.Length - to.Length) throw Damage.Torn(Format);
        zip.Position = offset;
        zip.ReadExactly(to);
    }

    private static Directory FindDirectory(Stream zip)
    {
        var tail = new byte[(int)Math.Min(zip.Length, EndSize + ushort.MaxValue)];
        ReadAt(zip, zip.Length - tail.Length, tail);
        for (var at = tail.Length - EndSize; at >= 0; at--)
        {
            var end = tail.AsSpan(at);
            if (BinaryPrimitives.ReadUInt32LittleEndian(end) != EndMagic) continue;
            // The comment must end with the file, or it is no end record.
            if (BinaryPrimitives.ReadUInt16LittleEndian(end[20..]) != end.Length - EndSize) continue;
            return ReadEnd(zip, zip.Length - tail.Length + at, end);
        }

        throw Damage.Torn(Format);
    }

    private static Directory ReadEnd(Stream zip, long position, ReadOnlySpan<byte> end)
    {
        int disk = BinaryPrimitives.ReadUInt16LittleEndian(end[4..]);
        var directory = new Directory(
            BinaryPrimitives.ReadUInt32LittleEndian(end[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(end[12..]),
            BinaryPrimitives.ReadUInt16LittleEndian(end[10..]));
        Span<byte> record = stackalloc byte[End64Size];
        if (position >= Locator64Size)
        {
            ReadAt(zip, position - Locator64Size, record[..Locator64Size]);
            if (BinaryPrimitives.ReadUInt32LittleEndian(record) == Locator64Magic)
            {
                ReadAt(zip, BinaryPrimitives.ReadInt64LittleEndian(record[8..]), record);
                if (BinaryPrimitives.ReadUInt32LittleEndian(record) != End64Magic) throw Damage.Corrupt(Format, "its zip64 record is not where it should be");
                disk = (int)BinaryPrimitives.ReadUInt32LittleEndian(record[16..]);
                directory = new Directory(
                    BinaryPrimitives.ReadInt64LittleEndian(record[48..]),
                    BinaryPrimitives.ReadInt64LittleEndian(record[40..]),
                    BinaryPrimitives.ReadInt64LittleEndian(record[32..]));
            }
        }

        if (disk != 0) throw Damage.Unsupported(Format, "several volumes");
        if (directory.Offset < 0 || directory.Size < 0 || directory.Size > position || directory.Offset > position - directory.Size)
            throw Damage.Corrupt(Format, "its table of contents is not where it should be");
        if (directory.Size > LargestDirectory) throw Damage.Unsupported(Format, "a table of contents of more than 16 MiB");
        return directory;
    }

    private static List<Entry> ReadEntries(Stream zip, Directory directory)
    {
        var bytes = new byte[directory.Size];
        ReadAt(zip, directory.Offset, bytes);
        var entries = new List<Entry>();
        for (var rest = bytes.AsSpan(); !rest.IsEmpty;)
        {
            if (rest.Length < EntrySize || BinaryPrimitives.ReadUInt32LittleEndian(rest) != EntryMagic) throw BadDirectory();
            int name = BinaryPrimitives.ReadUInt16LittleEndian(rest[28..]), extra = BinaryPrimitives.ReadUInt16LittleEndian(rest[30..]);
            var size = EntrySize + name + extra + BinaryPrimitives.ReadUInt16LittleEndian(rest[32..]);
            if (rest.Length < size) throw BadDirectory();
            entries.Add(ReadEntry(rest, Encoding.UTF8.GetString(rest.Slice(EntrySize, name)), rest.Slice(EntrySize + name, extra)));
            rest = rest[size..];
        }

        return entries.Count == directory.Count ? entries : throw BadDirectory();
    }

    private static ImageException BadDirectory() => Damage.Corrupt(Format, "its table of contents is broken");

    private static Entry ReadEntry(ReadOnlySpan<byte> entry, string name, ReadOnlySpan<byte> extra)
    {
        long packed = BinaryPrimitives.ReadUInt32LittleEndian(entry[20..]);
        long size = BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]);
        long offset = BinaryPrimitives.ReadUInt32LittleEndian(entry[42..]);
        while (extra.Length >= 4)
        {
            int id = BinaryPrimitives.ReadUInt16LittleEndian(extra), length = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            if (length > extra.Length - 4) throw BadDirectory();
            if (id == 1)
            {
                // zip64 (§4.5.3): only the fields that did not fit, in this order.
                var field = extra.Slice(4, length);
                Take64(ref size, ref field);
                Take64(ref packed, ref field);
                Take64(ref offset, ref field);
            }

            extra = extra[(4 + length)..];
        }

        if (packed < 0 || size < 0 || offset < 0) throw BadDirectory();
        return new Entry(
            name,
            BinaryPrimitives.ReadUInt16LittleEndian(entry[8..]),
            BinaryPrimitives.ReadUInt16LittleEndian(entry[10..]),
            BinaryPrimitives.ReadUInt32LittleEndian(entry[16..]),
            packed,
            size,
            offset);
    }

    private static void Take64(ref long value, ref ReadOnlySpan<byte> field)
    {
        if (value != uint.MaxValue) return;
        if (field.Length < 8) throw BadDirectory();
        value = BinaryPrimitives.ReadInt64LittleEndian(field);
        field = field[8..];
    }
}

/// <summary>The content of a zip entry, compared with the size and the checksum of the table of contents.</summary>
internal sealed class ZipContent(Stream decoded, long size, uint checksum) : DecodingStream
{
    private long _left = size;
    private uint _crc;

    protected override int Decode(Span<byte> to)
    {
        var got = decoded.Read(to);
        _left -= got;
        _crc = Crc32Ieee.Append(_crc, to[..got]);
        if (_left < 0 || got == 0 && _left != 0) throw Damage.Corrupt("zip", "the file has another length than the table of contents tells");
        if (_left == 0 && _crc != checksum) throw Damage.Corrupt("zip", "its checksum does not match");
        return got;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) decoded.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>Raw deflate data that must fill its source exactly.</summary>
internal sealed class DeflateReader : DecodingStream
{
    private readonly InputBuffer _input;
    private readonly Inflater _inflater;
    private readonly string _format;

    public DeflateReader(Stream packed, string format)
    {
        _input = new InputBuffer(packed);
        _inflater = new Inflater(_input, format);
        _format = format;
    }

    protected override int Decode(Span<byte> to)
    {
        var got = _inflater.Read(to);
        if (got == 0 && !_input.AtEnd) throw Damage.Corrupt(_format, "deflate data ends too early");
        return got;
    }
}
