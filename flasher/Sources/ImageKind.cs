using OsBuild.Flasher.Writing;
using OsBuild.Images.Compression;

namespace OsBuild.Flasher.Sources;

/// <summary>Tells from the first bytes what a file is that is no image that can be written: archives and disks of virtual machines would be
/// copied byte by byte and never start, and a file that is not what its name says was damaged or mixed up on its way.</summary>
internal static class ImageKind
{
    /// <summary>Bytes of a file that are looked at: a first sector.</summary>
    public const int HeadSize = 512;

    private const string Unpack = "unpack it and write the image in it";
    private const string Convert = "convert it first (qemu-img convert -O raw)";

    private static readonly (string Ending, Codec Codec)[] Endings =
    [
        (".gz", Codec.Gzip), (".tgz", Codec.Gzip), (".bz2", Codec.Bzip2), (".tbz2", Codec.Bzip2), (".xz", Codec.Xz), (".txz", Codec.Xz),
        (".zst", Codec.Zstd), (".zstd", Codec.Zstd), (".zip", Codec.Zip),
    ];

    /// <summary>Refuses a file by its name and first bytes.</summary>
    /// <param name="path">Path or address, as it was typed.</param>
    /// <param name="name">Its name, for the ending.</param>
    /// <param name="head">The first <see cref="HeadSize"/> bytes, or all of a shorter file.</param>
    /// <returns>How it is compressed.</returns>
    /// <exception cref="RefusedException">It is no image; the message says what it is and what to do.</exception>
    public static Codec Require(string path, string name, ReadOnlySpan<byte> head)
    {
        if (head.IsEmpty) throw new RefusedException($"{path} is empty; there is nothing to write.");
        if (Foreign(head) is var (what, remedy)) throw new RefusedException($"{path} is {what}, not an image; {remedy}.");
        var codec = Codecs.Detect(head);
        var named = Endings.FirstOrDefault(e => name.EndsWith(e.Ending, StringComparison.OrdinalIgnoreCase));
        if (named.Ending is not null && named.Codec != codec)
            throw new RefusedException($"{path} is named {named.Ending} but is {Found(codec, head)}; get it again or, if that is what it should be, give it the right name.");
        return codec;
    }

    /// <summary>Refuses what a compressed file holds, by the first bytes of that.</summary>
    /// <exception cref="RefusedException">It is no image; the message says what it is and what to do.</exception>
    public static void RequireInside(string path, ReadOnlySpan<byte> head)
    {
        if (head.IsEmpty) throw new RefusedException($"{path} holds nothing; there is nothing to write.");
        if (Foreign(head) is var (what, remedy)) throw new RefusedException($"{path} holds {what}, not an image; {remedy}.");
        if (Codecs.Detect(head) is var codec and not Codec.None) throw new RefusedException($"{path} holds {Named(codec)}, which is packed twice; unpack it once.");
    }

    private static string Named(Codec codec) => codec switch
    {
        Codec.Gzip => "gzip data",
        Codec.Bzip2 => "bzip2 data",
        Codec.Xz => "xz data",
        Codec.Zstd => "Zstandard data",
        Codec.Zip => "a zip archive",
        _ => throw new ArgumentOutOfRangeException(nameof(codec)),
    };

    private static string Found(Codec codec, ReadOnlySpan<byte> head) => codec != Codec.None ? Named(codec)
        : head.Length == HeadSize && head[510..] is [0x55, 0xAA] ? "an uncompressed disk image"
        : head.ContainsAnyExcept((byte)0) ? "not compressed in any way known here" : "zeros at its beginning";

    // Magic numbers as in the formats' own documents. None can be the start of a disk: all but tar's lie where a boot sector has its code's first
    // instruction, and tar's lies amid that code.
    private static (string What, string Remedy)? Foreign(ReadOnlySpan<byte> head) => head switch
    {
        [(byte)'7', (byte)'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => ("a 7-Zip archive", Unpack),
        [(byte)'R', (byte)'a', (byte)'r', (byte)'!', 0x1A, 0x07, ..] => ("a RAR archive", Unpack),
        [0x04, 0x22, 0x4D, 0x18, ..] => ("LZ4 data", Unpack),
        [(byte)'L', (byte)'Z', (byte)'I', (byte)'P', ..] => ("lzip data", Unpack),
        [0x89, (byte)'L', (byte)'Z', (byte)'O', 0, ..] => ("lzop data", Unpack),
        [(byte)'Q', (byte)'F', (byte)'I', 0xFB, ..] => ("a disk of QEMU (qcow)", Convert),
        [(byte)'K', (byte)'D', (byte)'M', (byte)'V', ..] => ("a disk of VMware (vmdk)", Convert),
        [(byte)'v', (byte)'h', (byte)'d', (byte)'x', (byte)'f', (byte)'i', (byte)'l', (byte)'e', ..] => ("a disk of Hyper-V (vhdx)", Convert),
        [0x3A, 0xFF, 0x26, 0xED, ..] => ("an Android sparse image", "convert it first (simg2img)"),
        _ when head.StartsWith("version https://"u8) => ("a git-lfs pointer", "run git lfs pull"),
        _ when IsPage(head) => ("a web page", "get the file itself"),
        _ when head.Length >= 262 && head.Slice(257, 5).SequenceEqual("ustar"u8) => ("a tar archive", Unpack),
        _ => null,
    };

    private static bool IsPage(ReadOnlySpan<byte> head)
    {
        var text = head.TrimStart(" \t\r\n"u8);
        return StartsWith(text, "<!doctype html") || StartsWith(text, "<html");

        static bool StartsWith(ReadOnlySpan<byte> text, string word) => text.Length >= word.Length && System.Text.Ascii.EqualsIgnoreCase(text[..word.Length], word);
    }
}
