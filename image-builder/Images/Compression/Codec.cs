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
    public static Codec Detect(ReadOnlySpan<byte> header) => header switch
    {
        [0x1F, 0x8B, 0x08, ..] => Codec.Gzip,
        [(byte)'B', (byte)'Z', (byte)'h', >= (byte)'1' and <= (byte)'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Codec.Bzip2,
        [(byte)'B', (byte)'Z', (byte)'h', >= (byte)'1' and <= (byte)'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Codec.Bzip2,
        [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0x00, ..] => Codec.Xz,
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Codec.Zstd,
        [>= 0x50 and <= 0x5F, 0x2A, 0x4D, 0x18, ..] => Codec.Zstd,
        [(byte)'P', (byte)'K', 3, 4, ..] => Codec.Zip,
        [(byte)'P', (byte)'K', 5, 6, ..] => Codec.Zip,
        _ => Codec.None,
    };

    /// <summary>A stream of the decoded bytes. Torn or corrupt input ends in an <see cref="ImageException"/>, never in a short read.
    /// It leaves <paramref name="compressed"/> open; for <see cref="Codec.None"/> it is that stream itself.
    /// A zip archive must be seekable: its table of contents is at its end.</summary>
    /// <exception cref="ImageException">A zip archive is corrupt, or holds no file or several.</exception>
    public static Stream OpenRead(Stream compressed, Codec codec) => codec switch
    {
        Codec.None => compressed,
        Codec.Gzip => new GzipReader(compressed),
        Codec.Bzip2 => new Bzip2Reader(compressed),
        Codec.Xz => new XzReader(compressed),
        Codec.Zstd => new ZstdReader(compressed),
        Codec.Zip => ZipReader.Open(compressed),
        _ => throw new ArgumentOutOfRangeException(nameof(codec)),
    };

    /// <summary>As <see cref="OpenRead(Stream, Codec)"/>, on several threads where the format and the file allow it: .xz of several blocks
    /// and .zst of several frames, from a seekable source. All else is decoded on the caller's thread as it is read.</summary>
    /// <param name="compressed">Read by several threads (one at a time) until the stream is disposed; its position is not kept.</param>
    /// <param name="codec">How it is compressed.</param>
    /// <param name="threads">How many blocks are decoded at the same time.</param>
    /// <param name="memory">Bytes for dictionaries and for what is decoded ahead; fewer threads are used rather than more memory.</param>
    public static Stream OpenRead(Stream compressed, Codec codec, int threads, long memory = 40 << 20)
    {
        var parallel = threads < 2 || !compressed.CanSeek ? null : codec switch
        {
            Codec.Xz => XzParallel.TryOpen(compressed, threads, memory),
            Codec.Zstd => ZstdParallel.TryOpen(compressed, threads, memory),
            _ => null,
        };
        return parallel ?? OpenRead(compressed, codec);
    }

    /// <summary>A stream that encodes what is written to it; disposing it ends the encoding but leaves <paramref name="target"/> open.
    /// The bytes depend on the input and the level only, never on <paramref name="threads"/> or on how the writes were cut.</summary>
    /// <param name="target">Takes the encoded bytes, front to back.</param>
    /// <param name="codec">gzip, xz, zstd or none.</param>
    /// <param name="level">1 (fast) to 9 (small), as the tools of that name understand it; up to 22 for zstd.</param>
    /// <param name="threads">How many blocks are encoded at the same time; each costs memory for a block and its encoder.</param>
    public static Stream OpenWrite(Stream target, Codec codec, int level, int threads) =>
        codec == Codec.None ? new PlainWriter(target) : new PieceWriter(target, OpenPieces(codec, level), threads);

    /// <summary>Encodes a stream piece by piece; what <see cref="OpenWrite"/> writes is these pieces.</summary>
    /// <param name="codec">gzip, xz or zstd.</param>
    /// <param name="level">As for <see cref="OpenWrite"/>.</param>
    public static PieceCodec OpenPieces(Codec codec, int level) => codec switch
    {
        Codec.Gzip => new GzipPieces(level),
        Codec.Zstd => new ZstdPieces(level),
        Codec.Xz => new XzPieces(level),
        Codec.None or Codec.Bzip2 or Codec.Zip => throw new ImageException(ImageErrorKind.Unsupported, $"Images are not written as {codec.ToString().ToLowerInvariant()}; use gz, xz or zst."),
        _ => throw new ArgumentOutOfRangeException(nameof(codec)),
    };

    /// <summary>Encodes what is written as one frame of Zstandard; disposing it ends the frame but leaves <paramref name="target"/> open.
    /// The kernel reads an initramfs only in this form: it takes the end of a frame for the end of an archive.</summary>
    /// <param name="target">Takes the encoded bytes.</param>
    /// <param name="level">1 to 22.</param>
    public static Stream OpenOneZstdFrame(Stream target, int level)
    {
        var encoder = new ZstdSharp.CompressionStream(target, level, leaveOpen: true);
        encoder.SetParameter(ZstdSharp.Unsafe.ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        return encoder;
    }
}
