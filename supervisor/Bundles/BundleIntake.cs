using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text.Json;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Bundles;

/// <summary>Takes a bundle as it comes: nothing of it is written before its signature is good, nothing is used before every byte of it is. A bundle that
/// is not taken leaves nothing behind.</summary>
/// <param name="paths">Where the host is.</param>
/// <param name="compose">Who keeps the compose file.</param>
/// <param name="now">The device's clock.</param>
internal sealed class BundleIntake(HostPaths paths, ComposeWatch compose, Func<DateTimeOffset> now) : IDisposable
{
    private const int MaxManifest = 1 << 20;
    private const int MaxSignature = 1 << 10;

    private readonly SemaphoreSlim gate = new(1);
    private readonly KeptFile<BundleMark> mark = new(Path.Combine(new Places(paths).StateDirectory, "bundle.json"), BundleJson.Default.BundleMark, m => m.Digest is not null, secret: false);

    /// <summary>Where its files are until the next bundle is taken: the image archives among them are as good as those in <c>apps/</c>.</summary>
    private string Folder => new Places(paths).Bundle;

    public void Dispose() => gate.Dispose();

    /// <summary>True when the bundle is the one that was taken last.</summary>
    public async Task<bool> TookLastAsync(Stream input, CancellationToken stop)
    {
        try
        {
            await using var tar = new TarReader(input, leaveOpen: true);
            return mark.Load() is { } last && await SmallAsync(tar, BundleManifest.Name, MaxManifest, stop) is { } manifest && Digest(manifest) == last.Digest;
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            return false;
        }
    }

    /// <exception cref="BundleRefusedException">It is not taken, and why.</exception>
    public async Task<ComposeResult> TakeAsync(Stream input, CancellationToken stop)
    {
        await gate.WaitAsync(stop);
        var incoming = Folder + ".new";
        try
        {
            if (compose.Yields()) throw new BundleRefusedException("a fleet or a local push decides what runs on this device");
            await using var tar = new TarReader(input, leaveOpen: true);
            var (manifest, digest) = await VerifiedAsync(tar, stop);
            Clear(incoming);
            Directory.CreateDirectory(incoming);
            foreach (var file in manifest.Files) await ReceiveAsync(tar, file, incoming, stop);
            if (await tar.GetNextEntryAsync(cancellationToken: stop) is { } more) throw new BundleRefusedException($"{more.Name} is in the bundle, but not in its manifest");
            var handover = Handover.Parse(await File.ReadAllBytesAsync(Path.Combine(incoming, BundleManifest.Compose), stop));
            if (compose.Check(handover) is { Release: null } wrong) return wrong;
            Clear(Folder);
            Directory.Move(incoming, Folder);
            var result = compose.HandOver(handover);
            // Last: when the power goes before, the same bundle is taken once more.
            if (result.Release is not null) mark.Save(new(manifest.App, manifest.Sequence, digest));
            return result;
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw new BundleRefusedException("this is no bundle, or not all of one; make it with 'supervisor bundle'");
        }
        catch (JsonException e)
        {
            throw new BundleRefusedException($"the bundle cannot be read: {e.Message}");
        }
        finally
        {
            Clear(incoming);
            gate.Release();
        }
    }

    private async Task<(BundleManifest Manifest, string Digest)> VerifiedAsync(TarReader tar, CancellationToken stop)
    {
        var bytes = await SmallAsync(tar, BundleManifest.Name, MaxManifest, stop) ?? throw new BundleRefusedException($"the bundle does not begin with {BundleManifest.Name}; make it with 'supervisor bundle'");
        var signature = await SmallAsync(tar, BundleManifest.Signature, MaxSignature, stop) ?? throw new BundleRefusedException("the bundle is not signed; make it with 'supervisor bundle --key FILE'");
        if (BundleCheck.Signature(bytes, signature, HostConfig.Read(paths.ConfigYaml, _ => { }).BundleKeys) is { } unsigned) throw new BundleRefusedException(unsigned);
        var manifest = BundleManifest.Parse(bytes);
        var digest = Digest(bytes);
        if (BundleCheck.Manifest(manifest, digest, Names(), now(), mark.Load()) is { } reason) throw new BundleRefusedException(reason);
        if (!manifest.Files.Exists(f => f.Name == BundleManifest.Compose)) throw new BundleRefusedException("there is no compose file in the bundle");
        var (size, free) = (manifest.Files.Sum(f => f.Size), Linux.FreeSpace.Read(paths.Data).FreeBytes);
        return size < free ? (manifest, digest) : throw new BundleRefusedException($"the bundle needs {size >> 20} MiB and the data partition has {free >> 20} MiB left");
    }

    private static async Task<byte[]?> SmallAsync(TarReader tar, string name, int most, CancellationToken stop)
    {
        if (await tar.GetNextEntryAsync(cancellationToken: stop) is not { DataStream: { } data } entry || entry.Name != name || entry.Length > most) return null;
        var bytes = new byte[entry.Length];
        await data.ReadExactlyAsync(bytes, stop);
        return bytes;
    }

    private static async Task ReceiveAsync(TarReader tar, BundleFile file, string folder, CancellationToken stop)
    {
        var entry = await tar.GetNextEntryAsync(cancellationToken: stop) ?? throw new BundleRefusedException($"{file.Name} is missing: the bundle is not whole");
        if (entry.Name != file.Name) throw new BundleRefusedException($"{entry.Name} is where {file.Name} should be: the bundle was changed after it was signed");
        if (entry.Length != file.Size) throw new BundleRefusedException($"{file.Name} has {entry.Length} bytes instead of {file.Size}: the bundle was changed after it was signed");
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using (var to = new FileStream(Path.Combine(folder, file.Name), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, useAsync: true))
        {
            var buffer = new byte[1 << 16];
            for (int got; entry.DataStream is { } data && (got = await data.ReadAsync(buffer, stop)) > 0;)
            {
                digest.AppendData(buffer, 0, got);
                await to.WriteAsync(buffer.AsMemory(0, got), stop);
            }

            to.Flush(flushToDisk: true);
        }

        if (!string.Equals(Convert.ToHexStringLower(digest.GetHashAndReset()), file.Sha256, StringComparison.Ordinal)) throw new BundleRefusedException($"{file.Name} is not what was signed");
    }

    private static string Digest(byte[] manifest) => Convert.ToHexStringLower(SHA256.HashData(manifest));

    private HashSet<string> Names()
    {
        var id = Path.Combine(paths.State, "machine-id");
        return [Environment.MachineName, .. File.Exists(id) ? [File.ReadAllText(id).Trim()] : Array.Empty<string>(), HostConfig.Board(Path.Combine(paths.Boot, "image.json"))];
    }

    private static void Clear(string folder)
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }
}
