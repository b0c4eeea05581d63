namespace OsBuild.Images.Copying;

/// <summary>What an image is written to: a disk, a card or a file. All offsets and lengths are whole sectors, and buffers come from
/// <see cref="AlignedBuffer"/>, so that an implementation may use direct I/O. Calls may come from several threads at once.</summary>
public interface IMedium : IDisposable
{
    /// <summary>The name a person knows it by, for example <c>/dev/sdb</c>.</summary>
    string Name { get; }

    /// <summary>Capacity in bytes.</summary>
    long Size { get; }

    /// <summary>Sector size in bytes: nothing smaller is read or written.</summary>
    int SectorSize { get; }

    /// <summary>Writes all bytes at an offset.</summary>
    /// <exception cref="IOException">The medium did not take them; the message names medium, offset and cause.</exception>
    void Write(long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Reads exactly as many bytes as the buffer holds.</summary>
    /// <exception cref="IOException">The medium did not give them; the message names medium, offset and cause.</exception>
    void Read(long offset, Span<byte> into);

    /// <summary>Waits until everything written has reached the medium itself.</summary>
    void Flush();

    /// <summary>Makes the next reads come from the medium and not from a cache of this machine.</summary>
    void DropCaches();

    /// <summary>Tells the medium that a range holds nothing of use. False when it cannot be told; what the range reads as
    /// afterwards is not promised either way.</summary>
    bool TryDiscard(long offset, long length);
}
