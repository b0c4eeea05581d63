using System.IO.Compression;
using OsBuild.Flasher.Writing;
using OsBuild.Images.Compression;

namespace OsBuild.Flasher.Sources;

/// <summary>Opens what an image is packed in, known by its first bytes.</summary>
internal static class Decoding
{
    public static Codec Detect(ReadOnlySpan<byte> head) =>
        head.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]) ? Codec.Gzip
        : head.StartsWith((ReadOnlySpan<byte>)[0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0]) ? Codec.Xz
        : head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd]) ? Codec.Zstd
        : head.StartsWith("BZh"u8) ? Codec.Bzip2
        : head.StartsWith("PK\x03\x04"u8) ? Codec.Zip
        : Codec.None;

    public static Stream Open(Stream packed, Codec codec) => codec switch
    {
        Codec.Gzip => new GZipStream(packed, CompressionMode.Decompress),
        _ => throw new RefusedException($"Images packed as {codec} cannot be read yet; unpack it first."),
    };
}
