using System.Buffers.Binary;

namespace OsBuild.Images.Compression;

/// <summary>Opens Zstandard files of several frames for decoding on several threads. Ours are such files, and those of pzstd.</summary>
internal static class ZstdParallel
{
    private const ulong LargestFrame = 64 << 20;

    private readonly record struct Place(long Offset, long Size);

    /// <summary>A parallel reader, or null when there is only one frame, the file is not sound, or would need too much memory.</summary>
    public static Stream? TryOpen(Stream source, int threads, long memory)
    {
        var start = source.Position;
        ulong window = 0;
        long largest = 0;
        if (TryFindFrames(source, start, ref window, ref largest) is { Count: > 1 } frames)
        {
            if (ParallelShare.Of(threads, memory, (long)window + (1 << 19), largest) is { Threads: > 1 } share)
                return new ParallelReader(frames.Count, share.Threads, (int)(share.Ahead / ParallelReader.SegmentSize), () => new Worker(source, frames));
        }

        source.Position = start;
        return null;
    }

    /// <summary>Follows frames and blocks by their headers alone; null at the first thing that is not sound: reading front to back tells what.</summary>
    private static List<Place>? TryFindFrames(Stream source, long start, ref ulong window, ref long largest)
    {
        var frames = new List<Place>();
        Span<byte> bytes = stackalloc byte[ZstdFrame.LongestHeader];
        for (var at = start; at < source.Length;)
        {
            if (!TryReadAt(source, at, bytes[..8])) return null;
            var magic = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            if ((magic & ZstdFrame.SkippableMask) == ZstdFrame.SkippableMagic)
            {
                at += 8L + BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
                if (at > source.Length) return null;
                continue;
            }

            var header = ZstdFrame.SizeOfHeader(bytes[4]);
            if (magic != ZstdFrame.Magic || (bytes[4] & 8) != 0 || !TryReadAt(source, at, bytes[..header])) return null;
            var frame = ZstdFrame.Read(bytes[..header]);
            // A large frame will be the only one: its many blocks need not be looked at.
            if (frame.Dictionary != 0 || frame.WindowSize > ZstdFrame.LargestWindow || frame.ContentSize is null or > LargestFrame) return null;
            window = Math.Max(window, frame.WindowSize);
            largest = Math.Max(largest, (long)frame.ContentSize);
            var end = EndOfBlocks(source, at + header);
            if (end < 0 || end + (frame.HasChecksum ? 4 : 0) > source.Length) return null;
            end += frame.HasChecksum ? 4 : 0;
            frames.Add(new Place(at, end - at));
            at = end;
        }

        return frames;
    }

    private static long EndOfBlocks(Stream source, long at)
    {
        Span<byte> block = stackalloc byte[ZstdFrame.BlockHeaderSize];
        while (true)
        {
            if (!TryReadAt(source, at, block)) return -1;
            var header = block[0] | block[1] << 8 | block[2] << 16;
            at += ZstdFrame.BlockHeaderSize + ((header >> 1 & 3) == 1 ? 1 : header >> 3);
            if ((header & 1) != 0) return at;
        }
    }

    private static bool TryReadAt(Stream source, long offset, Span<byte> to)
    {
        if (offset > source.Length - to.Length) return false;
        source.Position = offset;
        source.ReadExactly(to);
        return true;
    }

    private sealed class Worker(Stream source, List<Place> frames) : PieceWorker
    {
        private readonly SharedWindow _window = new(source);
        private readonly byte[] _buffer = new byte[ParallelReader.SegmentSize];

        public override void Decode(int piece, ParallelReader.Output output)
        {
            _window.Show(frames[piece].Offset, frames[piece].Size);
            using var reader = new ZstdReader(_window);
            int got;
            while ((got = reader.Read(_buffer)) > 0) output.Write(_buffer.AsSpan(0, got));
        }
    }
}
