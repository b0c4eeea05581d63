namespace OsBuild.Images.Partitions;

/// <summary>Positional reads of a disk that may end early.</summary>
internal static class DiskBytes
{
    /// <summary>Reads exactly that many bytes, or gives null when the disk ends before.</summary>
    public static byte[]? TryRead(Stream disk, long offset, int count, long diskSize)
    {
        if (offset < 0 || offset > diskSize - count) return null;
        var bytes = new byte[count];
        disk.Position = offset;
        return disk.ReadAtLeast(bytes, count, throwOnEndOfStream: false) == count ? bytes : null;
    }

    /// <summary>The write, when the disk holds something else there.</summary>
    public static IEnumerable<DiskWrite> IfDifferent(Stream disk, long offset, byte[] wanted, long diskSize)
    {
        var found = TryRead(disk, offset, wanted.Length, diskSize);
        return found is not null && found.AsSpan().SequenceEqual(wanted) ? [] : [new DiskWrite(offset, wanted)];
    }
}
