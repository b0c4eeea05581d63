using System.Security.Cryptography;
using OsBuild.Flasher.Writing;
using OsBuild.Images;
using OsBuild.Images.Bmap;
using OsBuild.Images.Compression;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Sources;

/// <summary>Told how many bytes of an image file have been checked; may throw to stop the check.</summary>
internal delegate void CheckProgress(long done, long total);

/// <summary>An image file with what lies beside it: block map, digest, description. Checked before the first byte is written.</summary>
internal sealed class ImageFile
{
    /// <summary>Two windows of about half a block of xz -6 -T: what keeps two cores busy with the files that people have.</summary>
    private const long DecoderMemory = 24 << 20;

    private readonly string _path;
    private readonly Codec _codec;
    private readonly long _fileLength;
    private readonly CheckProgress _checking;
    private long _consumed;

    private ImageFile(string path, Codec codec, long fileLength, CheckProgress checking) => (_path, _codec, _fileLength, _checking) = (path, codec, fileLength, checking);

    /// <summary>Opens an image and reads what lies beside it.</summary>
    /// <param name="path">The image: raw, or compressed in any way that <see cref="Codecs"/> knows.</param>
    /// <param name="useMap">Look for a block map.</param>
    /// <param name="sha256">SHA-256 the file or the image in it must have, in hex, or null.</param>
    /// <param name="patience">How long a server may be silent.</param>
    /// <param name="checking">Told how far the check is; may throw to stop it.</param>
    /// <param name="always">Read the whole image, also when nothing says what it should be.</param>
    /// <exception cref="RefusedException">It cannot be used; the message says why.</exception>
    public static CopySource Open(string path, bool useMap, string? sha256, TimeSpan patience, CheckProgress checking, bool always = false)
    {
        if (HttpImage.IsAddress(path)) return HttpImage.Open(path, sha256, patience);
        var (codec, length) = Peek(path);
        try
        {
            return new ImageFile(path, codec, length, checking).Source(useMap, sha256, always);
        }
        catch (ImageException e)
        {
            throw new RefusedException($"{(e.Message.Contains(path, StringComparison.Ordinal) ? "" : path + ": ")}{e.Message.TrimEnd('.')}. Nothing was written.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException($"{path} cannot be read: {e.Message.TrimEnd('.')}.");
        }
    }

    /// <summary>What kind of file it is, and its length in bytes.</summary>
    /// <exception cref="RefusedException">It is no image; the message says what it is.</exception>
    public static (Codec Codec, long Length) Peek(string path)
    {
        try
        {
            if (Directory.Exists(path)) throw new RefusedException($"{path} is a folder; name an image file.");
            if (File.Exists(path) && !Targets.IsOrdinaryFile(path))
                throw new RefusedException($"{path} is not an ordinary file; flasher clone copies a drive, and what comes from elsewhere must be saved as a file first.");
            using var file = File.OpenRead(path);
            var head = new byte[ImageKind.HeadSize];
            var codec = ImageKind.Require(path, path, head.AsSpan(0, file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)));
            if (codec != Codec.None)
            {
                file.Position = 0;
                using var image = Codecs.OpenRead(file, codec);
                ImageKind.RequireInside(path, head.AsSpan(0, image.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)));
            }

            return (codec, file.Length);
        }
        catch (ImageException e)
        {
            throw new RefusedException($"{path} cannot be unpacked: {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException(File.Exists(path) ? $"{path} cannot be read: {e.Message.TrimEnd('.')}." : $"There is no image {path}.");
        }
    }

    private CopySource Source(bool useMap, string? sha256, bool always)
    {
        var described = ImageDescription.Beside(_path);
        var (map, mapName) = useMap ? Sidecars.FindMap(_path) : (null, null);
        var length = _codec == Codec.None ? _fileLength : map?.ImageSize ?? described?.Size;
        if (map is not null && length is { } known && map.ImageSize != known)
            throw new RefusedException($"The block map beside {_path} is for an image of {map.ImageSize} bytes, but this one has {known}; remove the map or fetch the right one (or use --no-map).");
        if (described?.Size is { } size && length != size)
            throw new RefusedException($"{_path} holds an image of {length} bytes, but {described.Name} speaks of {size}: one of the two is damaged or of another build. Nothing was written; download or build it again.");
        CheckDigest(sha256);
        if (mapName is not null && described?.BmapSha256 is { } mapDigest && !SHA256.HashData(File.ReadAllBytes(mapName)).AsSpan().SequenceEqual(ParseDigest(mapDigest, described.Name)))
            throw new RefusedException($"The block map {mapName} is not the one that {described.Name} speaks of: it is damaged or of another build. Nothing was written; download or build it again (or use --no-map).");
        var source = new CopySource
        {
            Name = _path,
            Open = OpenDecoded,
            Length = length,
            Map = map,
            Sha256 = described?.Sha256 is { } imageDigest ? ParseDigest(imageDigest, described.Name) : null,
            Fraction = () => Math.Min(1, (double)Interlocked.Read(ref _consumed) / _fileLength),
        };
        // What the description says of the content, by its digest or by that of a map full of digests, is looked at before anything is overwritten.
        var told = source.Sha256 is not null || (map is not null && described?.BmapSha256 is not null);
        return told || always ? source with { Length = ImageCheck.Run(source, at => _checking(_codec == Codec.None ? at : Interlocked.Read(ref _consumed), _fileLength)) } : source;
    }

    /// <summary>The digest that was typed or lies beside the image: of the file, or of what is in it, which costs one more decoding.</summary>
    private void CheckDigest(string? sha256)
    {
        var wanted = sha256 is not null ? ParseDigest(sha256, "--sha256") : Sidecars.FindDigest(_path) is { } found ? ParseDigest(found, _path + ".sha256") : null;
        if (wanted is null || FileDigest().AsSpan().SequenceEqual(wanted)) return;
        if (_codec == Codec.None || sha256 is null || !DecodedDigest().AsSpan().SequenceEqual(wanted))
            throw new RefusedException($"The SHA-256 of {_path} is not the expected {Convert.ToHexStringLower(wanted)}: it is damaged or another file. Nothing was written; download or build it again.");
    }

    private Stream OpenDecoded()
    {
        var file = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.Read, 0, FileOptions.SequentialScan);
        if (_codec == Codec.None) return file;
        Interlocked.Exchange(ref _consumed, 0);
        var counted = new ProgressStream(file, got => Interlocked.Add(ref _consumed, got));
        return new OwningStream(Codecs.OpenRead(counted, _codec, Environment.ProcessorCount, DecoderMemory), counted);
    }

    private byte[] FileDigest()
    {
        long done = 0;
        using var file = new ProgressStream(File.OpenRead(_path), got => _checking(done += got, _fileLength));
        return SHA256.HashData(file);
    }

    private byte[] DecodedDigest()
    {
        using var image = new ProgressStream(OpenDecoded(), _ => _checking(Interlocked.Read(ref _consumed), _fileLength));
        return SHA256.HashData(image);
    }

    internal static byte[] ParseDigest(string text, string from)
    {
        try
        {
            var digest = Convert.FromHexString(text.Trim());
            return digest.Length == 32 ? digest : throw new FormatException();
        }
        catch (FormatException)
        {
            throw new RefusedException($"{from} holds no SHA-256 (64 hex digits); nothing was written.");
        }
    }
}

/// <summary>Files beside an image, found as bmaptool and the builder name them.</summary>
internal static class Sidecars
{
    /// <summary>The block map and the name of its file, or nulls.</summary>
    public static (BlockMap? Map, string? Name) FindMap(string image)
    {
        foreach (var name in Names(image, ".bmap"))
        {
            if (!File.Exists(name)) continue;
            try
            {
                using var xml = File.OpenRead(name);
                return (BlockMap.ReadXml(xml), name);
            }
            catch (ImageException e)
            {
                throw new RefusedException($"The block map {name} cannot be used: {e.Message} Remove it or use --no-map.");
            }
        }

        return default;
    }

    /// <summary>The digest in <c>IMAGE.sha256</c>: 64 hex digits, alone or in the form of sha256sum.</summary>
    public static string? FindDigest(string image)
    {
        if (!File.Exists(image + ".sha256")) return null;
        var name = Path.GetFileName(image);
        var lines = File.ReadAllLines(image + ".sha256").Select(l => l.Split((char[])[' ', '\t'], 2, StringSplitOptions.RemoveEmptyEntries)).Where(l => l.Length > 0).ToList();
        var line = lines.FirstOrDefault(l => l.Length == 2 && l[1].TrimStart(' ', '*') == name) ?? lines.FirstOrDefault(l => l.Length == 1) ?? (lines.Count == 1 ? lines[0] : null);
        return line?[0] ?? throw new RefusedException($"{image}.sha256 has no line for {name}; nothing was written.");
    }

    /// <summary><c>a.img.xz</c> gives <c>a.img.xz.bmap</c>, <c>a.img.bmap</c>, <c>a.bmap</c>.</summary>
    public static IEnumerable<string> Names(string image, string extension)
    {
        var folder = Path.GetDirectoryName(image) ?? "";
        for (var name = Path.GetFileName(image); name.Length > 0;)
        {
            yield return Path.Combine(folder, name + extension);
            var dot = name.LastIndexOf('.');
            if (dot <= 0) yield break;
            name = name[..dot];
        }
    }
}
