using System.Buffers.Binary;
using System.Text;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>What a 64-bit little-endian ELF program wants at run time: its interpreter (PT_INTERP) and its libraries (DT_NEEDED).</summary>
/// <param name="Interpreter">Path of the interpreter; null for static programs and libraries.</param>
/// <param name="Needed">Names of libraries, in order.</param>
/// <param name="RunPath">DT_RUNPATH or DT_RPATH, or null.</param>
internal sealed record ElfDynamic(string? Interpreter, IReadOnlyList<string> Needed, string? RunPath)
{
    private const int MaxHeaders = 256;

    // The dynamic segment of a program is a few hundred bytes and its string table at most some hundred KiB.
    private const int MaxTable = 1 << 20;

    /// <summary>Reads a file that lies in memory.</summary>
    public static ElfDynamic? Read(byte[] file) => Read(new MemoryStream(file, writable: false));

    /// <summary>Reads what is needed of a file; null when it is not such an ELF file or its tables lie outside of it.</summary>
    public static ElfDynamic? Read(Stream file)
    {
        var head = Part(file, 0, 64);
        if (head.Length < 64 || !head.AsSpan().StartsWith("\u007FELF"u8) || head[4] != 2 || head[5] != 1) return null;
        var headers = ProgramHeaders(file, head);
        if (headers is null) return null;
        string? interpreter = null;
        var needed = new List<long>();
        long strings = -1, stringsSize = MaxTable, runPath = -1;
        foreach (var (type, offset, _, size) in headers)
        {
            if (type is not (2 or 3) || offset < 0 || size is < 0 or > MaxTable || offset + size > file.Length) continue;
            ReadOnlySpan<byte> bytes = Part(file, offset, (int)size);
            if (type == 3)
            {
                interpreter = Text(bytes, 0);
                continue;
            }

            for (; bytes.Length >= 16; bytes = bytes[16..])
            {
                var value = BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]);
                switch (BinaryPrimitives.ReadInt64LittleEndian(bytes))
                {
                    case 1: needed.Add(value); break;
                    case 5: strings = value; break;
                    case 10: stringsSize = value; break;
                    case 15 or 29: runPath = value; break;
                }
            }
        }

        if (needed.Count == 0 && runPath < 0) return new(interpreter, [], null);
        if (FileOffset(headers, strings) is not { } table || table < 0 || table > file.Length) return null;
        var texts = Part(file, table, (int)Math.Clamp(stringsSize, 0, MaxTable));
        var names = new List<string>(needed.Count);
        foreach (var at in needed)
        {
            if (Text(texts, at) is not { } name) return null;
            names.Add(name);
        }

        return new(interpreter, names, runPath < 0 ? null : Text(texts, runPath));
    }

    /// <summary>Bytes of the file, fewer where it ends before.</summary>
    private static byte[] Part(Stream file, long offset, int length)
    {
        var part = new byte[(int)Math.Clamp(file.Length - offset, 0, length)];
        file.Position = offset;
        file.ReadExactly(part);
        return part;
    }

    private static List<(uint Type, long Offset, long Address, long Size)>? ProgramHeaders(Stream file, ReadOnlySpan<byte> head)
    {
        var start = BinaryPrimitives.ReadInt64LittleEndian(head[0x20..]);
        var entry = BinaryPrimitives.ReadUInt16LittleEndian(head[0x36..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(head[0x38..]);
        if (entry < 56 || count > MaxHeaders || start < 0 || start > file.Length - (long)entry * count) return null;
        var table = Part(file, start, entry * count);
        var headers = new List<(uint, long, long, long)>(count);
        for (var i = 0; i < count; i++)
        {
            var h = table.AsSpan(i * entry);
            headers.Add((BinaryPrimitives.ReadUInt32LittleEndian(h), BinaryPrimitives.ReadInt64LittleEndian(h[8..]),
                BinaryPrimitives.ReadInt64LittleEndian(h[16..]), BinaryPrimitives.ReadInt64LittleEndian(h[32..])));
        }

        return headers;
    }

    private static long? FileOffset(List<(uint Type, long Offset, long Address, long Size)> headers, long address)
    {
        foreach (var (type, offset, start, size) in headers)
            if (type == 1 && address >= start && address < start + size) return address - start + offset;
        return null;
    }

    private static string? Text(ReadOnlySpan<byte> table, long at)
    {
        if (at < 0 || at >= table.Length) return null;
        var text = table[(int)at..];
        var end = text.IndexOf((byte)0);
        return end < 0 ? null : Encoding.UTF8.GetString(text[..end]);
    }
}
