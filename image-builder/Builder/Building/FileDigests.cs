using System.Collections.Concurrent;
using System.Security.Cryptography;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;

namespace OsBuild.ImageBuilder.Building;

/// <summary>A file as it was when it was hashed.</summary>
/// <param name="Path">Where it lies.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Modified">Its time in ticks of UTC.</param>
/// <param name="Sha256">Its digest in lower-case hexadecimal.</param>
internal sealed record KnownFile(string Path, long Size, long Modified, string Sha256);

/// <summary>Digests of input files. A file that has the size and the time it had when the last job hashed it is not read again.</summary>
internal sealed class FileDigests(IEnumerable<KnownFile> known)
{
    // A file written in the same instant as it was hashed could change without its time telling; file systems count in steps of up to 2 s.
    private const long Unsettled = 2 * TimeSpan.TicksPerSecond;

    /// <summary>Nothing is known yet.</summary>
    public static FileDigests None => new([]);

    private readonly Dictionary<string, KnownFile> _known = known.DistinctBy(k => k.Path).ToDictionary(k => k.Path, StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, KnownFile> _used = new(StringComparer.Ordinal);

    /// <summary>The digest of a file.</summary>
    public string Of(InputFile file)
    {
        var modified = File.GetLastWriteTimeUtc(file.Path).Ticks;
        if (!_known.TryGetValue(file.Path, out var known) || known.Size != file.Size || known.Modified != modified)
        {
            using var content = file.Open();
            known = new(file.Path, file.Size, modified, Digest(content));
        }

        _used[file.Path] = known;
        return known.Sha256;
    }

    // SHA256.HashData reads 4 KiB at a time, which costs as much as the hashing. What is hashed should still be in the processor's cache.
    private static string Digest(Stream content)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = GC.AllocateUninitializedArray<byte>(ImageStore.HashStep);
        int got;
        while ((got = content.Read(buffer)) > 0) hash.AppendData(buffer, 0, got);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The files that were asked for, but for those too new to be trusted by their time.</summary>
    /// <param name="now">Ticks of UTC.</param>
    public IEnumerable<KnownFile> Settled(long now) => _used.Values.Where(k => k.Modified < now - Unsettled).OrderBy(k => k.Path, StringComparer.Ordinal);
}
