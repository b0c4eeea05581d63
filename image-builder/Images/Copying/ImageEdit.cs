namespace OsBuild.Images.Copying;

/// <summary>Bytes that take the place of an image's own on the way to the medium: the settings of one device, for example.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Bytes">What goes there.</param>
public readonly record struct ImageEdit(long Offset, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>Puts what falls into a piece of the image into it.</summary>
    internal static void Apply(IReadOnlyList<ImageEdit> edits, Span<byte> piece, long offset)
    {
        foreach (var edit in edits)
        {
            var from = Math.Max(edit.Offset, offset);
            var to = Math.Min(edit.Offset + edit.Bytes.Length, offset + piece.Length);
            if (from < to) edit.Bytes.Span[(int)(from - edit.Offset)..(int)(to - edit.Offset)].CopyTo(piece[(int)(from - offset)..]);
        }
    }

    /// <summary>Tells two lists of edits apart.</summary>
    internal static ulong Digest(IReadOnlyList<ImageEdit> edits) =>
        edits.Aggregate(0UL, (seed, edit) => XxHash64.Hash(edit.Bytes.Span, seed ^ (ulong)edit.Offset));
}
