namespace OsBuild.Images.Compression;

/// <summary>Opens .xz files of several blocks for decoding on several threads.</summary>
internal static class XzParallel
{
    /// <summary>A parallel reader, or null when the file has only one block, is not sound, or would need too much memory.</summary>
    public static Stream? TryOpen(Stream source, int threads, long memory)
    {
        var start = source.Position;
        if (XzIndex.TryRead(source, start) is not { Count: > 1 } blocks || LargestDictionary(source, blocks) is not { } dictionary)
        {
            source.Position = start;
            return null;
        }

        var largest = (long)blocks.Max(b => b.Unpacked);
        if (ParallelShare.OfWindows(threads, memory, dictionary, largest) is { Threads: > 1 } share)
            return new ParallelReader(blocks.Count, share.Threads, 0, () => new Worker(source, blocks, (int)share.Ahead));
        source.Position = start;
        return null;
    }

    // All blocks of a file are usually made with one dictionary size; a few headers tell it.
    private static long? LargestDictionary(Stream source, List<XzBlockPlace> blocks)
    {
        var largest = 0L;
        try
        {
            for (var i = 0; i < blocks.Count; i += Math.Max(1, blocks.Count / 16))
            {
                source.Position = blocks[i].Offset;
                var size = (source.ReadByte() + 1) * 4;
                var header = new byte[size];
                header[0] = (byte)(size / 4 - 1);
                source.ReadExactly(header, 1, size - 1);
                largest = Math.Max(largest, Math.Min(XzBlockHeader.Read(header).DictionarySize, (long)blocks[i].Unpacked));
            }
        }
        catch (Exception e) when (e is ImageException or EndOfStreamException)
        {
            return null;
        }

        return largest;
    }

    private sealed class Worker : PieceWorker
    {
        private readonly List<XzBlockPlace> _blocks;
        private readonly SharedWindow _window;
        private readonly InputBuffer _input;
        private readonly int _ahead;
        private Lzma2Decoder? _decoder;

        public Worker(Stream source, List<XzBlockPlace> blocks, int ahead)
        {
            _blocks = blocks;
            _ahead = ahead;
            _window = new SharedWindow(source);
            _input = new InputBuffer(_window);
        }

        public override void Decode(int piece, ParallelReader.Output output)
        {
            var place = _blocks[piece];
            _window.Show(place.Offset, place.Size);
            _input.Restart();
            // A new block begins at the window's start.
            output.AwaitRead(0);
            using var reader = new XzBlockReader(_input, place.Check, _ahead, _decoder);
            _decoder = reader.Decoder;
            while (reader.Read(ParallelReader.SegmentSize) is { Count: > 0 } bytes)
            {
                output.Lend(bytes);
                output.AwaitRead(_ahead - ParallelReader.SegmentSize);
            }

            if (reader.Sizes != (place.Unpadded, place.Unpacked)) throw Damage.Corrupt(XzFormat.Name, "the index tells other sizes than the blocks have");
        }
    }
}
