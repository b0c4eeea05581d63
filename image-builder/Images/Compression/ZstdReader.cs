using System.Buffers.Binary;
using ZstdSharp;

namespace OsBuild.Images.Compression;

/// <summary>Reads Zstandard (RFC 8878): frame after frame, skippable ones skipped, checksums verified. The frames' structure is
/// followed here, because the decoder's own stream interface does not tell a torn frame from one that ended.</summary>
internal sealed class ZstdReader(Stream compressed) : DecodingStream
{
    private const string Format = "zstd";

    private readonly InputBuffer _input = new(compressed, 1 << 18);
    private readonly Decompressor _decoder = new();
    private Next _next = Next.Frame;
    private bool _any;
    private int _piece;
    private ZstdFrame _frame;
    private long _frameBytes;

    private enum Next { Frame, Block, Checksum, EndOfFrame }

    protected override int Decode(Span<byte> to)
    {
        while (true)
        {
            if (_piece == 0 && _next == Next.Frame && !BeginFrame()) return 0;
            if (_piece == 0) NextPiece();
            var given = Feed(to);
            if (given > 0) return given;
        }
    }

    /// <summary>Gives the decoder the current piece of the frame, which lies whole in the buffer, or asks it for what it still holds.</summary>
    private int Feed(Span<byte> to)
    {
        try
        {
            _decoder.UnwrapStream(_input.Available[.._piece], to, out var used, out var given);
            _input.Start += used;
            _piece -= used;
            _frameBytes += given;
            if (used == 0 && given == 0 && _piece > 0) throw Damage.Corrupt(Format, "a block cannot be decoded");
            if (_piece == 0 && _next == Next.EndOfFrame && given < to.Length) EndFrame();
            return given;
        }
        catch (ZstdException e)
        {
            throw Damage.Corrupt(Format, e.Message, e);
        }
    }

    /// <summary>Skips skippable frames and begins the next real one; false at the end.</summary>
    private bool BeginFrame()
    {
        while (!_input.AtEnd || !_any)
        {
            if (_any && _input.Ensure(4) && !IsMagic(BinaryPrimitives.ReadUInt32LittleEndian(_input.Available))) throw Damage.Trailing(Format);
            if (!_input.Ensure(5)) throw Damage.Torn(Format);
            var magic = BinaryPrimitives.ReadUInt32LittleEndian(_input.Available);
            if (!IsMagic(magic)) throw Damage.Corrupt(Format, "it does not begin like zstd");
            _any = true;
            if (magic == ZstdFrame.Magic)
            {
                _piece = ZstdFrame.SizeOfHeader(_input.Available[4]);
                if (!_input.Ensure(_piece)) throw Damage.Torn(Format);
                _frame = ZstdFrame.Read(_input.Available[.._piece]);
                _frame.MustBeReadable();
                _decoder.ResetStream();
                _frameBytes = 0;
                _next = Next.Block;
                return true;
            }

            Skip(BinaryPrimitives.ReadUInt32LittleEndian(_input.Take(8, Format)[4..]));
        }

        return false;
    }

    private static bool IsMagic(uint magic) => magic == ZstdFrame.Magic || (magic & ZstdFrame.SkippableMask) == ZstdFrame.SkippableMagic;

    private void Skip(long count)
    {
        while (count > 0)
        {
            if (_input.AtEnd) throw Damage.Torn(Format);
            var some = (int)Math.Min(count, _input.Available.Length);
            _input.Start += some;
            count -= some;
        }
    }

    private void NextPiece()
    {
        switch (_next)
        {
            case Next.Block:
                if (!_input.Ensure(ZstdFrame.BlockHeaderSize)) throw Damage.Torn(Format);
                var header = _input.Available[0] | _input.Available[1] << 8 | _input.Available[2] << 16;
                var size = header >> 3;
                if ((header >> 1 & 3) == 3 || size > ZstdFrame.LongestBlock) throw Damage.Corrupt(Format, "a block header is impossible");
                // A run-length block holds one byte, whatever size it tells.
                _piece = ZstdFrame.BlockHeaderSize + ((header >> 1 & 3) == 1 ? 1 : size);
                if ((header & 1) != 0) _next = _frame.HasChecksum ? Next.Checksum : Next.EndOfFrame;
                break;
            case Next.Checksum:
                _piece = 4;
                _next = Next.EndOfFrame;
                break;
        }

        if (!_input.Ensure(_piece)) throw Damage.Torn(Format);
    }

    private void EndFrame()
    {
        if (_frame.ContentSize is { } size && (ulong)_frameBytes != size) throw Damage.Corrupt(Format, "a frame has another length than it tells");
        _next = Next.Frame;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _decoder.Dispose();
        base.Dispose(disposing);
    }
}
