using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>Where a root is written to.</summary>
/// <param name="Path">The partition's device.</param>
/// <param name="Size">Its length in bytes.</param>
internal sealed record RootPlace(string Path, long Size);

/// <summary>Gets a host image and writes it into the slot that does not run.</summary>
internal sealed class SlotImage(HostPaths paths, EngineClient engine, ArchiveIndex archives)
{
    private const string Description = "/host.json", Root = "/root.img";
    private static readonly string[] Folders = ["/slot", "/loader"];
    private readonly ImageContent content = new(engine, archives, "osbuild-host-update");

    /// <summary>What is written now and how far it is; null when nothing is.</summary>
    public string? Progress { get; private set; }

    /// <summary>On return the slot is whole on the medium, and the loader has not been told of it.</summary>
    /// <param name="store">What is known of earlier hosts.</param>
    /// <param name="image">The image.</param>
    /// <param name="request">Of its naming.</param>
    /// <param name="running">The slot that runs.</param>
    /// <param name="partition">Finds a partition by its name.</param>
    /// <param name="stop">Ends it; the next time goes on where it was.</param>
    /// <exception cref="NoHostException">It is no host for this device: nothing to try again.</exception>
    /// <exception cref="EngineRefusedException">The engine cannot have the image now.</exception>
    /// <exception cref="IOException">The slot cannot be written.</exception>
    public async Task<HostBuild> WriteAsync(HostStore store, string image, string request, string running, Func<string, RootPlace?> partition, CancellationToken stop)
    {
        var (id, came) = await content.GetAsync(image, stop);
        try
        {
            return await content.ReadAsync(id, open => WriteAsync(open, store, image, request, running, partition, stop), stop);
        }
        finally
        {
            Progress = null;
            // The slot is all that is needed of it. What was there before is somebody's.
            if (came) await engine.RemoveImageAsync(id, CancellationToken.None);
        }
    }

    private async Task<HostBuild> WriteAsync(OpenImage open, HostStore store, string image, string request, string running, Func<string, RootPlace?> partition, CancellationToken stop)
    {
        var device = store.Device!;
        var slot = DeviceBoot.Other(running);
        var json = await DescriptionAsync(open, stop);
        var release = HostRelease.Parse(json);
        var build = new HostBuild(HostRelease.Sha256Of(json), release.Version, image, request, slot);
        var record = store.Load();
        if (record.KnownBad(build.Sha256) is { } bad) throw new NoHostException(build.Sha256, bad.Reason);
        if (record.Good?.Sha256 == build.Sha256) return build;
        try
        {
            var place = device.Slots[slot];
            var root = partition(place.Partition) ?? throw new IOException($"there is no partition {place.Partition} beside the root that runs");
            if (release.Fault(device, root.Size, FreeFor(slot), HostNotBefore) is { } fault) throw new NoHostException(build.Sha256, fault);
            await WriteSlotAsync(open, release, json, device, slot, running, root.Path, stop);
            return build;
        }
        catch (NoHostException e) when (e.Sha256.Length == 0)
        {
            throw new NoHostException(build.Sha256, e.Message);
        }
    }

    private async Task WriteSlotAsync(OpenImage open, HostRelease release, byte[] json, DeviceBoot device, string slot, string running, string root, CancellationToken stop)
    {
        var loader = new BootStore(paths.Boot, device);
        loader.Close(slot);
        var rooted = await open.EachAsync(Root, async (_, bytes) =>
        {
            if (bytes is not null) await SlotWriter.WriteRootAsync(bytes, release.Root, root, done => Progress = $"writing slot {slot}: {100 * done / release.Root.Size} %", stop);
        }, stop);
        if (!rooted) throw new NoHostException("", $"the image has no {Root}");

        using var writable = BootPartition.Open(paths.Boot);
        var wanted = release.Files.ToDictionary(f => f.Path, StringComparer.Ordinal);
        var description = loader.PathOf(slot, "slot/host.json");
        SlotWriter.Prune(Path.GetDirectoryName(description)!, new HashSet<string>([.. release.Files.Select(f => loader.PathOf(slot, f.Path))], StringComparer.Ordinal));
        var sort = loader.NextSort(running);
        string Fill(string text) => SlotText.Fill(text, slot, device.Slots[slot].PartUuid, sort);
        // The file without which the loader does not start the slot comes last of all.
        foreach (var key in new[] { false, true })
        {
            var had = new HashSet<string>(StringComparer.Ordinal);
            foreach (var folder in Folders)
                await open.EachAsync(folder, async (entry, bytes) =>
                {
                    if (bytes is null || !wanted.TryGetValue(entry.Name, out var file)) return;
                    had.Add(file.Path);
                    if (file.Path == device.Key == key) await SlotWriter.WriteFileAsync(bytes, file, loader.PathOf(slot, file.Path), Fill, stop);
                }, stop);
            if (release.Files.Find(f => !had.Contains(f.Path)) is { } missing) throw new NoHostException("", $"the image has no /{missing.Path}");
            if (!key) BootPartition.Put(description, json);
        }
    }

    private static async Task<byte[]> DescriptionAsync(OpenImage open, CancellationToken stop)
    {
        byte[]? json = null;
        await open.EachAsync(Description, async (entry, bytes) =>
        {
            if (bytes is null || entry.Length > HostRelease.Longest) return;
            json = new byte[entry.Length];
            await bytes.ReadExactlyAsync(json, stop);
        }, stop);
        return json ?? throw new NoHostException("", $"the image has no {Description}: it is no host image; make one with 'image-builder host-image'");
    }

    private long FreeFor(string slot)
    {
        var folder = new DirectoryInfo(Path.Combine(paths.Boot, $"slot-{slot}"));
        return BootPartition.Free(paths.Boot) + (folder.Exists ? folder.EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length) : 0);
    }

    private long HostNotBefore => Identity.HostConfig.Read(paths.ConfigYaml, _ => { }).HostNotBefore;
}
