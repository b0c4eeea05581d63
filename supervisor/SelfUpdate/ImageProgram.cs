using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>What an image holds is no worker for this device.</summary>
internal sealed class NoWorkerException(string sha256, string message) : Exception(message)
{
    public string Sha256 { get; } = sha256;
}

/// <summary>Gets the supervisor out of an image.</summary>
internal sealed class ImageProgram(EngineClient engine, UpdateStore store, ArchiveIndex archives)
{
    /// <summary>Where the program lies in the image.</summary>
    public const string PathInImage = "/supervisor";

    private static readonly TimeSpan VersionWithin = TimeSpan.FromSeconds(10);
    private readonly ImageContent content = new(engine, archives, "osbuild-supervisor-update");

    /// <summary>Fetches, checks and keeps the program; on return it is on the medium.</summary>
    /// <exception cref="NoWorkerException">It is not a worker of this machine: nothing to try again.</exception>
    /// <exception cref="EngineRefusedException">The engine cannot have the image now.</exception>
    public async Task<WorkerBuild> FetchAsync(string image, string request, CancellationToken stop)
    {
        var (id, came) = await content.GetAsync(image, stop);
        Directory.CreateDirectory(store.Programs);
        var file = Path.Combine(store.Programs, "fetched");
        try
        {
            var (sha256, length, header) = await content.ReadAsync(id, open => ExtractAsync(open, file, stop), stop);
            if (ElfProgram.Fault(header, length, OwnHeader()) is { } fault) throw new NoWorkerException(sha256, $"{PathInImage} of the image: {fault}");
            var version = await VersionAsync(file, sha256, stop);
            var build = new WorkerBuild(sha256, version, image, request);
            File.Move(file, store.ProgramOf(build), overwrite: true);
            using var directory = Libc.OpenDirectory(store.Programs);
            Libc.SyncFile(directory, store.Programs);
            return build;
        }
        finally
        {
            File.Delete(file);
            // The program is all that is needed of it. What was there before is somebody's.
            if (came) await engine.RemoveImageAsync(id, CancellationToken.None);
        }
    }

    private static async Task<(string Sha256, long Length, byte[] Header)> ExtractAsync(OpenImage image, string file, CancellationToken stop)
    {
        (string Sha256, long Length, byte[] Header)? program = null;
        var found = await image.EachAsync(PathInImage, async (entry, content) =>
        {
            if (program is not null || content is null) throw new NoWorkerException("", $"{PathInImage} of the image is no file");
            if (entry.Length > ElfProgram.Largest) throw new NoWorkerException("", $"{PathInImage} of the image has {entry.Length} bytes; a worker has at most {ElfProgram.Largest >> 20} MiB");
            program = await WriteAsync(content, file, stop);
        }, stop);
        return program ?? throw new NoWorkerException("", found ? $"{PathInImage} of the image is no file" : $"the image has no {PathInImage}");
    }

    private static async Task<(string Sha256, long Length, byte[] Header)> WriteAsync(Stream content, string file, CancellationToken stop)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var header = new MemoryStream();
        await using var to = new FileStream(file, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = (UnixFileMode)0b111_101_101 });
        var buffer = new byte[64 << 10];
        for (int got; (got = await content.ReadAsync(buffer, stop)) > 0;)
        {
            hash.AppendData(buffer, 0, got);
            if (header.Length < ElfProgram.HeaderLength) header.Write(buffer, 0, Math.Min(got, ElfProgram.HeaderLength - (int)header.Length));
            await to.WriteAsync(buffer.AsMemory(0, got), stop);
        }

        to.Flush(flushToDisk: true);
        return (Convert.ToHexStringLower(hash.GetHashAndReset()), to.Length, header.ToArray());
    }

    private static async Task<string> VersionAsync(string file, string sha256, CancellationToken stop)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(file, "--version") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(VersionWithin);
            try
            {
                var said = await process.StandardOutput.ReadLineAsync(limit.Token);
                await process.WaitForExitAsync(limit.Token);
                return process.ExitCode == 0 && said is { Length: > 0 and < 200 } ? said : throw new NoWorkerException(sha256, $"asked for its version it ended with {process.ExitCode}");
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                throw new NoWorkerException(sha256, $"asked for its version it said nothing for {VersionWithin.TotalSeconds:0} s");
            }
            finally
            {
                if (!process.HasExited) process.Kill();
            }
        }
        catch (Win32Exception e)
        {
            throw new NoWorkerException(sha256, $"it cannot be started: {e.Message}");
        }
    }

    private static byte[] OwnHeader()
    {
        using var file = File.OpenRead("/proc/self/exe");
        var header = new byte[ElfProgram.HeaderLength];
        return header[..file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false)];
    }
}
