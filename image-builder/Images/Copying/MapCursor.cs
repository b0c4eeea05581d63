using System.Security.Cryptography;
using OsBuild.Images.Bmap;

namespace OsBuild.Images.Copying;

/// <summary>Walks a block map along with the image: tells which bytes are mapped and checks the digests of the map's ranges.</summary>
internal sealed class MapCursor(BlockMap map) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private int _touch;
    private int _check;

    private long Start(int range) => map.Ranges[range].First * map.BlockSize;

    private long End(int range) => Math.Min((map.Ranges[range].Last + 1) * map.BlockSize, map.ImageSize);

    /// <summary>Whether any byte of a piece is mapped. Pieces must come in order.</summary>
    public bool Touches(long offset, int length)
    {
        while (_touch < map.Ranges.Count && End(_touch) <= offset) _touch++;
        return _touch < map.Ranges.Count && Start(_touch) < offset + length;
    }

    /// <summary>Takes the next bytes of the image, in order, and checks every range that ends in them.</summary>
    /// <exception cref="ImageException">The image is not the one that the map was made for.</exception>
    public void Check(ReadOnlySpan<byte> bytes, long offset)
    {
        var end = offset + bytes.Length;
        while (_check < map.Ranges.Count && Start(_check) < end)
        {
            if (map.Ranges[_check].Sha256 is { } expected)
            {
                var from = Math.Max(Start(_check), offset);
                var to = Math.Min(End(_check), end);
                _hash.AppendData(bytes[(int)(from - offset)..(int)(to - offset)]);
                if (End(_check) > end) return;
                if (!Convert.ToHexStringLower(_hash.GetHashAndReset()).Equals(expected, StringComparison.OrdinalIgnoreCase))
                    throw new ImageException(ImageErrorKind.Corrupt, $"The image does not match its block map between bytes {Start(_check)} and {End(_check) - 1}: it is damaged or the map belongs to another image.");
            }
            else if (End(_check) > end)
            {
                return;
            }

            _check++;
        }
    }

    public void Dispose() => _hash.Dispose();
}
