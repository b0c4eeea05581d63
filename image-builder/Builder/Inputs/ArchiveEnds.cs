using System.Buffers.Binary;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Tells from the ends of a compressed archive whether it is what its name says and whether it is whole, without decoding it.</summary>
internal static class ArchiveEnds
{
    /// <summary>False, with a problem, when the archive is of another form or is cut off.</summary>
    public static bool Check(InputFile file, string type, Problems problems)
    {
        var head = file.Head(512);
        if (RootfsReader.IsFileSystem(type)) return FileSystem(file, type, problems);
        var codec = Codecs.Detect(head);
        var wanted = CodecOf(type);
        if (codec != wanted && !(wanted == Codec.None && codec == Codec.None))
        {
            problems.Add($"{file.Name} is not {Words(wanted)} inside, as its name says, but {Words(codec)}; deploy the image again.");
            return false;
        }

        var whole = codec switch
        {
            Codec.Zstd => ZstdIsWhole(file),
            Codec.Xz => Tail(file, 2) is [(byte)'Y', (byte)'Z'],
            Codec.None when type == "tar" => head.Length == 512 && head.AsSpan(257).StartsWith("ustar"u8) && file.Size % 512 == 0 && Tail(file, 512).All(b => b == 0),
            _ => true,
        };
        if (!whole)
            problems.Add($"{file.Name} is cut off: the end of the {(codec == Codec.None ? "tar archive" : Words(codec) + " data")} is missing after {file.Size} bytes; copy it again.");
        return whole;
    }

    private static bool FileSystem(InputFile file, string type, Problems problems)
    {
        var head = file.Head(2048);
        if (type == "ext4")
        {
            // s_magic of the superblock at byte 1024.
            if (head.Length == 2048 && head[1080] == 0x53 && head[1081] == 0xEF) return true;
            problems.Add($"{file.Name} is not ext4 inside, as its name says; deploy the image again.");
            return false;
        }

        if (!head.AsSpan().StartsWith("hsqs"u8) || head.Length < 96)
        {
            problems.Add($"{file.Name} is not squashfs inside, as its name says; deploy the image again.");
            return false;
        }

        // bytes_used of the superblock.
        var used = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(40));
        if (used <= file.Size) return true;
        problems.Add($"{file.Name} is cut off: its header asks for {used} bytes, the file has {file.Size}; copy it again.");
        return false;
    }

    public static Codec CodecOf(string type) => type[(type.LastIndexOf('.') + 1)..] switch
    {
        "zst" => Codec.Zstd,
        "gz" or "tgz" => Codec.Gzip,
        "xz" => Codec.Xz,
        "bz2" => Codec.Bzip2,
        _ => Codec.None,
    };

    private static string Words(Codec codec) => codec switch
    {
        Codec.None => "plain",
        Codec.Gzip => "gzip",
        Codec.Bzip2 => "bzip2",
        Codec.Zstd => "zstd",
        Codec.Zip => "zip",
        _ => "xz",
    };

    private static byte[] Tail(InputFile file, int count)
    {
        using var stream = file.Open();
        stream.Seek(-Math.Min(count, file.Size), SeekOrigin.End);
        var tail = new byte[(int)Math.Min(count, file.Size)];
        stream.ReadExactly(tail);
        return tail;
    }

    // RFC 8878 §3.1.1: each block tells its compressed size, so the frames can be walked by reading three bytes per block.
    private static bool ZstdIsWhole(InputFile file)
    {
        using var stream = file.Open();
        var buffer = new byte[18];
        long at = 0;
        while (at < file.Size)
        {
            if (!ReadAt(stream, at, buffer.AsSpan(0, 5))) return false;
            var magic = BinaryPrimitives.ReadUInt32LittleEndian(buffer);
            if ((magic & 0xFFFFFFF0) == 0x184D2A50)
            {
                if (!ReadAt(stream, at, buffer.AsSpan(0, 8))) return false;
                at += 8 + BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(4));
                continue;
            }

            if (magic != 0xFD2FB528) return false;
            var descriptor = buffer[4];
            var single = (descriptor & 0x20) != 0;
            int[] idSizes = [0, 1, 2, 4], contentSizes = [single ? 1 : 0, 2, 4, 8];
            at += 5 + (single ? 0 : 1) + idSizes[descriptor & 3] + contentSizes[descriptor >> 6];
            for (var last = false; !last;)
            {
                if (!ReadAt(stream, at, buffer.AsSpan(0, 3))) return false;
                var header = buffer[0] | buffer[1] << 8 | buffer[2] << 16;
                last = (header & 1) != 0;
                // An RLE block holds one byte, whatever size it stands for.
                at += 3 + ((header >> 1 & 3) == 1 ? 1 : header >> 3);
            }

            if ((descriptor & 4) != 0) at += 4;
        }

        return at == file.Size;
    }

    private static bool ReadAt(Stream stream, long at, Span<byte> to)
    {
        stream.Position = at;
        return stream.ReadAtLeast(to, to.Length, throwOnEndOfStream: false) == to.Length;
    }
}
