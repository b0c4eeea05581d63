using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>Writes a slot: the root file system into its partition, and the files on the boot partition. What is there already is not written again, so one
/// that was broken off goes on where it was, and a small change costs little of the medium's life.</summary>
internal static class SlotWriter
{
    private const int ChunkSize = 1 << 20;

    /// <summary>Writes the root and reads it back from the medium.</summary>
    /// <param name="content">The file system's bytes.</param>
    /// <param name="root">What they must be.</param>
    /// <param name="partition">The partition's device, or a file of at least its size.</param>
    /// <param name="progress">Told how many bytes have been looked at.</param>
    /// <param name="stop">Ends it; what was written stays.</param>
    /// <returns>Bytes that were written because they were different.</returns>
    /// <exception cref="NoHostException">The bytes are not what the description says.</exception>
    /// <exception cref="IOException">The medium fails.</exception>
    public static async Task<long> WriteRootAsync(Stream content, SlotRoot root, string partition, Action<long> progress, CancellationToken stop)
    {
        using var device = File.OpenHandle(partition, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var (next, there) = (new byte[ChunkSize], new byte[ChunkSize]);
        long at = 0, written = 0;
        for (int got; (got = await content.ReadAtLeastAsync(next, ChunkSize, throwOnEndOfStream: false, stop)) > 0; at += got)
        {
            if (at + got > root.Size) throw new NoHostException("", $"its root.img is longer than the {root.Size} bytes of its description");
            hash.AppendData(next, 0, got);
            if (!ReadWhole(device, there.AsSpan(0, got), at) || !next.AsSpan(0, got).SequenceEqual(there.AsSpan(0, got)))
            {
                RandomAccess.Write(device, next.AsSpan(0, got), at);
                written += got;
            }

            progress(at + got);
        }

        if (at != root.Size) throw new NoHostException("", $"its root.img has {at} bytes, and {root.Size} by its description");
        if (Convert.ToHexStringLower(hash.GetHashAndReset()) != root.Sha256) throw new NoHostException("", "its root.img is not the one of its description: the digest differs");
        Libc.SyncFile(device, partition);
        Verify(device, root, partition);
        return written;
    }

    /// <summary>Puts a file of a slot on the boot partition, when it is not there yet.</summary>
    /// <exception cref="NoHostException">It is not what the description says.</exception>
    public static async Task WriteFileAsync(Stream content, SlotFile file, string path, Func<string, string> fill, CancellationToken stop)
    {
        var bytes = new byte[file.Size];
        if (await content.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, stop) != file.Size || (file.Size == 0 ? 0 : await content.ReadAsync(new byte[1], stop)) > 0 || Convert.ToHexStringLower(SHA256.HashData(bytes)) != file.Sha256)
            throw new NoHostException("", $"its {file.Path} is not the one of its description");
        if (file.Text) bytes = System.Text.Encoding.UTF8.GetBytes(fill(System.Text.Encoding.UTF8.GetString(bytes)));
        if (File.Exists(path) && new FileInfo(path).Length == bytes.Length && File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes)) return;
        BootPartition.Put(path, bytes);
    }

    /// <summary>Removes what lies in a slot's folder and is not named.</summary>
    public static void Prune(string folder, IReadOnlySet<string> keep)
    {
        if (!Directory.Exists(folder)) return;
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            if (!keep.Contains(file)) File.Delete(file);
    }

    private static void Verify(SafeFileHandle device, SlotRoot root, string partition)
    {
        Libc.ForgetCached(device, root.Size); // so that the medium answers, and not the memory
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[ChunkSize];
        for (long at = 0; at < root.Size; at += ChunkSize)
        {
            var part = buffer.AsSpan(0, (int)Math.Min(ChunkSize, root.Size - at));
            if (!ReadWhole(device, part, at)) throw new IOException($"{partition} ends at {at} bytes");
            hash.AppendData(part);
        }

        if (Convert.ToHexStringLower(hash.GetHashAndReset()) != root.Sha256) throw new IOException($"{partition} does not keep what is written to it: read back it is something else; the medium is failing");
    }

    private static bool ReadWhole(SafeFileHandle device, Span<byte> buffer, long at)
    {
        for (var done = 0; done < buffer.Length;)
        {
            var got = RandomAccess.Read(device, buffer[done..], at + done);
            if (got == 0) return false;
            done += got;
        }

        return true;
    }
}
