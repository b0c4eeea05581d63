namespace OsBuild.Images.Compression;

/// <summary>How a stream is compressed.</summary>
public enum Codec
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>gzip (RFC 1952).</summary>
    Gzip,

    /// <summary>bzip2.</summary>
    Bzip2,

    /// <summary>xz.</summary>
    Xz,

    /// <summary>Zstandard (RFC 8878).</summary>
    Zstd,

    /// <summary>A zip archive with one file inside.</summary>
    Zip,
}

/// <summary>Opens compressed streams for reading and writing.</summary>
public static class Codecs
{
    /// <summary>Bytes that <see cref="Detect"/> wants to see.</summary>
    public const int HeaderSize = 16;

    /// <summary>Tells the codec from the first bytes (never from the file's name).</summary>
    public static Codec Detect(ReadOnlySpan<byte> header) => throw new NotImplementedException();

    /// <summary>A stream of the decoded bytes. Torn or corrupt input ends in an <see cref="ImageException"/>, never in a short read.</summary>
    public static Stream OpenRead(Stream compressed, Codec codec) => throw new NotImplementedException();

    /// <summary>A stream that encodes what is written to it; disposing it ends the encoding but leaves <paramref name="target"/> open.</summary>
    public static Stream OpenWrite(Stream target, Codec codec, int level, int threads) => throw new NotImplementedException();
}
