using System.Buffers;
using System.Numerics;
using System.Security.Cryptography;

namespace OsBuild.Images.SquashFs;

/// <summary>Where the content of a file went.</summary>
internal sealed class FileRecord
{
    public long Start { get; set; } = -1;

    public long Size { get; set; }

    /// <summary>Bytes of blocks that hold only zeros and were not written.</summary>
    public long Sparse { get; set; }

    public List<uint> Blocks { get; } = [];

    public uint Fragment { get; set; } = SquashFsFormat.NoFragment;

    public uint FragmentOffset { get; set; }
}

/// <summary>Writes data blocks and fragments, front to back. Blocks are compressed on several threads and written in the order in which they
/// came, so that the bytes do not depend on the threads.</summary>
internal sealed class DataWriter(Stream target, long origin, SquashFsOptions options, BlockEncoder encoder)
{
    // Larger files would have to be held in memory to find out that they were there before.
    private const int LargestKnown = 4 << 20;

    private readonly Queue<(Task<(byte[] Bytes, int Length, bool Stored)> Encoded, Action<long, uint> Place)> _running = new();
    private readonly Dictionary<Sha256Key, FileRecord> _known = [];
    private byte[] _content = [];
    private byte[] _fragment = ArrayPool<byte>.Shared.Rent(options.BlockSize);
    private int _fragmentFilled;

    private readonly record struct Sha256Key(UInt128 High, UInt128 Low);

    /// <summary>Start and size field of every fragment block.</summary>
    public List<(ulong Start, uint Size)> Fragments { get; } = [];

    /// <summary>Writes the content of a file; an equal file that came before is used again.</summary>
    public FileRecord Write(long size, Stream content)
    {
        var record = new FileRecord { Size = size };
        if (size == 0) return record;
        if (size > LargestKnown)
        {
            WriteLarge(record, content);
            return record;
        }

        // One room for all: a pool would keep one of each size.
        if (_content.Length < size) _content = GC.AllocateUninitializedArray<byte>((int)BitOperations.RoundUpToPowerOf2((uint)size));
        var bytes = _content.AsSpan(0, (int)size);
        content.ReadExactly(bytes);
        var hash = SHA256.HashData(bytes);
        var key = new Sha256Key(BitConverter.ToUInt128(hash), BitConverter.ToUInt128(hash, 16));
        if (!_known.TryGetValue(key, out var twin))
        {
            _known[key] = twin = record;
            // As mksquashfs does: what is smaller than a block shares one; the end of a larger file is a short block of its own.
            if (size < options.BlockSize) WriteSmall(record, bytes);
            else for (var at = 0; at < bytes.Length; at += options.BlockSize) WriteBlock(record, bytes[at..Math.Min(bytes.Length, at + options.BlockSize)]);
        }

        return twin;
    }

    private void WriteLarge(FileRecord record, Stream content)
    {
        for (long done = 0; done < record.Size;)
        {
            var block = ArrayPool<byte>.Shared.Rent(options.BlockSize);
            var length = (int)Math.Min(options.BlockSize, record.Size - done);
            content.ReadExactly(block, 0, length);
            WriteBlock(record, block.AsSpan(0, length));
            ArrayPool<byte>.Shared.Return(block);
            done += length;
        }
    }

    private void WriteBlock(FileRecord record, ReadOnlySpan<byte> bytes)
    {
        var index = record.Blocks.Count;
        record.Blocks.Add(0);
        if (!bytes.ContainsAnyExcept((byte)0))
        {
            record.Sparse += bytes.Length;
            return;
        }

        var block = ArrayPool<byte>.Shared.Rent(options.BlockSize);
        bytes.CopyTo(block);
        Submit(block, bytes.Length, (start, field) =>
        {
            if (record.Start < 0) record.Start = start;
            record.Blocks[index] = field;
        });
    }

    private void WriteSmall(FileRecord record, ReadOnlySpan<byte> bytes)
    {
        if (_fragmentFilled + bytes.Length > options.BlockSize) EndFragment();
        bytes.CopyTo(_fragment.AsSpan(_fragmentFilled));
        record.Fragment = (uint)Fragments.Count;
        record.FragmentOffset = (uint)_fragmentFilled;
        _fragmentFilled += bytes.Length;
    }

    private void EndFragment()
    {
        if (_fragmentFilled == 0) return;
        var index = Fragments.Count;
        Fragments.Add(default);
        Submit(_fragment, _fragmentFilled, (start, field) => Fragments[index] = ((ulong)start, field));
        _fragment = ArrayPool<byte>.Shared.Rent(options.BlockSize);
        _fragmentFilled = 0;
    }

    private void Submit(byte[] buffer, int length, Action<long, uint> place)
    {
        _running.Enqueue((options.Threads == 1 ? Task.FromResult(Encode(buffer, length)) : Task.Run(() => Encode(buffer, length)), place));
        while (_running.Count > (options.Threads == 1 ? 0 : 4 * options.Threads)) PlaceOldest();
    }

    private (byte[] Bytes, int Length, bool Stored) Encode(byte[] buffer, int length)
    {
        if (encoder.Encode(buffer.AsSpan(0, length)) is not { } encoded) return (buffer, length, true);
        ArrayPool<byte>.Shared.Return(buffer);
        return (encoded, encoded.Length, false);
    }

    private void PlaceOldest()
    {
        var (task, place) = _running.Dequeue();
        var (bytes, length, stored) = task.GetAwaiter().GetResult();
        place(target.Position - origin, (uint)length | (stored ? SquashFsFormat.BlockStored : 0));
        target.Write(bytes, 0, length);
        if (stored) ArrayPool<byte>.Shared.Return(bytes);
    }

    /// <summary>Writes what is still under way; afterwards all records are complete.</summary>
    public void Finish()
    {
        EndFragment();
        while (_running.Count > 0) PlaceOldest();
    }
}
