namespace OsBuild.Images.Compression;

/// <summary>A piece of a stream, encoded by itself.</summary>
/// <param name="Bytes">Its encoded bytes.</param>
/// <param name="Length">Bytes it had before.</param>
/// <param name="Check">A checksum that the end of the stream needs, where the format has one over everything.</param>
/// <param name="Unpadded">Size that an index at the end of the stream needs, where the format has one.</param>
public readonly record struct EncodedPiece(ReadOnlyMemory<byte> Bytes, int Length, uint Check, long Unpadded);

/// <summary>Encodes a stream in pieces that do not depend on each other, so that they can be made on any thread and in any order. Put behind each
/// other with <see cref="Begin"/> before and <see cref="End"/> behind them they are one sound file of the format. Every piece but the last has
/// <see cref="PieceSize"/> bytes. Made by <see cref="Codecs.OpenPieces"/>.</summary>
public abstract class PieceCodec : IDisposable
{
    private protected PieceCodec(int pieceSize) => PieceSize = pieceSize;

    /// <summary>Bytes of a piece before it is encoded.</summary>
    public int PieceSize { get; }

    /// <summary>Encodes one piece; may run on many threads at once. The same bytes give the same bytes.</summary>
    public abstract EncodedPiece Encode(ReadOnlySpan<byte> piece);

    /// <summary>Lets the room of a piece be used again: nobody looks at its bytes any more. Optional.</summary>
    public virtual void Release(EncodedPiece piece)
    {
    }

    /// <summary>Writes what comes before the first piece.</summary>
    public virtual void Begin(Stream target)
    {
    }

    /// <summary>Takes note of a piece whose bytes are written next; called in the order of the pieces.</summary>
    public virtual void Next(EncodedPiece piece)
    {
    }

    /// <summary>Writes what comes behind the last piece.</summary>
    public virtual void End(Stream target)
    {
    }

    /// <summary>Lets the encoders go.</summary>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}
