namespace OsBuild.Images;

/// <summary>A fixed-size record as it lies on a medium. One law for all: <c>Write(Read(bytes))</c> gives the bytes back.</summary>
/// <typeparam name="TSelf">The record itself.</typeparam>
public interface IOnDisk<TSelf> where TSelf : struct, IOnDisk<TSelf>
{
    /// <summary>Size on the medium, in bytes.</summary>
    static abstract int Size { get; }

    /// <summary>Reads the record from exactly <see cref="Size"/> bytes.</summary>
    static abstract TSelf Read(ReadOnlySpan<byte> from);

    /// <summary>Writes the record to exactly <see cref="Size"/> bytes.</summary>
    void Write(Span<byte> to);
}
