using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Building;

/// <summary>A piece of an image that is compressed while it is made.</summary>
internal sealed class PackedPiece(int length)
{
    /// <summary>Bytes of it that belong to the image.</summary>
    public int Length { get; } = length;

    /// <summary>Its bytes, while it is open: as far as <see cref="Filled"/>; behind that it is zeros, whatever the room holds.</summary>
    public byte[]? Raw { get; set; }

    /// <summary>Bytes from its start that were written, with the gaps between them.</summary>
    public int Filled { get; set; }

    /// <summary>Where it lies in the heap, encoded or as it is; -1 when it does not, or not as it is now.</summary>
    public long At { get; set; } = -1;

    /// <summary>Its parts in the heap, when it lies there encoded.</summary>
    public IReadOnlyList<(int Length, EncodedPiece Piece)>? Encoded { get; set; }

    public int Writes { get; set; }

    public long LastUse { get; set; }

    /// <summary>Waits for an encoder or is with one.</summary>
    public bool InWork { get; set; }

    public string? Digest { get; set; }

    /// <summary>Makes zeros of what was not written, as far as <paramref name="end"/>.</summary>
    /// <param name="raw">Its bytes.</param>
    /// <param name="end">Offset in the piece.</param>
    public void Fill(byte[] raw, int end)
    {
        if (Filled >= end) return;
        Array.Clear(raw, Filled, end - Filled);
        Filled = end;
    }
}
