using System.Security.Cryptography;

namespace OsBuild.Images.Copying;

/// <summary>Reads an image once, chunk by chunk, and checks all that is known about it on the way.</summary>
internal sealed class ImageReader : IDisposable
{
    private readonly CopySource _source;
    private readonly Stream _stream;
    private readonly MapCursor? _map;
    private readonly MapCursor? _mapCheck;
    private readonly IncrementalHash? _sha256;
    private readonly bool _findZeros;
    private readonly int _sectorSize;

    public ImageReader(CopySource source, bool useMap, bool findZeros, int sectorSize)
    {
        _source = source;
        _findZeros = findZeros;
        _sectorSize = sectorSize;
        _map = source.Map is { } map && useMap ? new MapCursor(map) : null;
        _mapCheck = source.Map is { } check ? new MapCursor(check) : null;
        _sha256 = source.Sha256 is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        _stream = source.Open();
    }

    /// <summary>Bytes of the image read so far, without padding.</summary>
    public long Position { get; private set; }

    /// <summary>Fills a buffer and cuts it into extents; gives its length padded to whole sectors, 0 at the end of the image.</summary>
    /// <exception cref="ImageException">The image is not what it says it is.</exception>
    public int Next(Span<byte> buffer, List<Extent> extents)
    {
        var offset = Position;
        var got = Next(buffer);
        var padded = (got + _sectorSize - 1) / _sectorSize * _sectorSize;
        buffer[got..padded].Clear();
        ImageEdit.Apply(_source.Edits, buffer[..got], offset);
        ExtentScan.Cut(buffer[..padded], offset, _map, _findZeros, extents);
        return padded;
    }

    /// <summary>Fills a buffer with the image as it is; gives the number of bytes, 0 at the end of the image.</summary>
    /// <exception cref="ImageException">The image is not what it says it is.</exception>
    public int Next(Span<byte> buffer)
    {
        var got = Fill(_stream, buffer);
        if (got == 0)
        {
            CheckEnd();
            return 0;
        }

        _sha256?.AppendData(buffer[..got]);
        _mapCheck?.Check(buffer[..got], Position);
        Position += got;
        if (_source.Length is { } length && Position > length)
            throw new ImageException(ImageErrorKind.Corrupt, $"{_source.Name} holds more than the {length} bytes that it should: it is damaged.");
        return got;
    }

    private void CheckEnd()
    {
        if (Position == 0) throw new ImageException(ImageErrorKind.Corrupt, $"{_source.Name} is empty; there is nothing to write.");
        if (_source.Length is { } length && Position != length)
            throw new ImageException(ImageErrorKind.Corrupt, $"{_source.Name} ends after {Position} of {length} bytes: it is truncated; download or build it again.");
        if (_sha256 is not null && !_sha256.GetHashAndReset().AsSpan().SequenceEqual(_source.Sha256))
            throw new ImageException(ImageErrorKind.Corrupt, $"The SHA-256 of {_source.Name} is not the one it should have: it is damaged; download or build it again.");
    }

    public static int Fill(Stream stream, Span<byte> buffer)
    {
        var filled = 0;
        while (filled < buffer.Length)
        {
            var got = stream.Read(buffer[filled..]);
            if (got == 0) break;
            filled += got;
        }

        return filled;
    }

    public void Dispose()
    {
        _stream.Dispose();
        _map?.Dispose();
        _mapCheck?.Dispose();
        _sha256?.Dispose();
    }
}
