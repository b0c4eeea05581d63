namespace OsBuild.Images.Streams;

/// <summary>Writes to targets that read as zeros where nothing was written.</summary>
internal static class SparseWriting
{
    /// <summary>What is written or left out as a whole; aligned to the start of the target.</summary>
    public const int BlockSize = 4096;

    /// <summary>Writes the bytes without those whole blocks that are zero.</summary>
    public static void WriteSparse(this Stream target, long offset, ReadOnlySpan<byte> bytes)
    {
        var start = 0;
        for (var at = 0; at < bytes.Length;)
        {
            var length = (int)Math.Min(BlockSize - ((offset + at) % BlockSize), bytes.Length - at);
            if (bytes.Slice(at, length).IndexOfAnyExcept((byte)0) < 0)
            {
                WriteRun(target, offset + start, bytes[start..at]);
                start = at + length;
            }

            at += length;
        }

        WriteRun(target, offset + start, bytes[start..]);
    }

    private static void WriteRun(Stream target, long offset, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        target.Position = offset;
        target.Write(bytes);
    }
}
