using System.Security.Cryptography;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;
using OsBuild.Images.Bmap;
using OsBuild.Images.Compression;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Makes an image, its block map and its description in the output folder: the root file system is written while it is read, and
/// everything else follows from what was found in it. Until all is known and sound, nothing has its final name.</summary>
internal static class BuildJob
{
    /// <summary>Ending of a compressed image.</summary>
    public static string Ending(Codec codec) => codec switch
    {
        Codec.Gzip => ".gz",
        Codec.Xz => ".xz",
        Codec.Zstd => ".zst",
        _ => "",
    };

    /// <returns>What was made.</returns>
    /// <exception cref="RefusedException">Something is wrong with the inputs; it names all of it.</exception>
    public static BuildResult Run(BuildRequest request, Progress progress, CancellationToken cancel)
    {
        var problems = new Problems();
        var digests = new FileDigests(KnownInputs(request));
        var material = Preparation.Look(request, digests, problems, cancel);
        if (material is null || problems.Any)
        {
            // Nothing can be made, but the root file system may be wrong too.
            if (material is not null) Preparation.Read(material, null, progress, problems, cancel);
            throw new RefusedException(problems.Sentences);
        }

        var keys = JobRecord.KeysOf(material, digests, ThisProgram());
        var last = JobRecord.Read(request.Output, material.FileName);
        if (last is not null && last.Rest == keys.Rest && last.Outputs.Count > 0 && last.Outputs[0].Path == material.FileName + Ending(request.Compress) && last.IsUntouched(request.Output))
        {
            if (last.Job == keys.Job) return Unchanged(request, material.FileName);
            if (request is { Compress: Codec.None, OsList: null } && BootUpdate.Run(material, last, keys, digests, progress, problems, cancel) is { } updated) return updated;
        }

        return Whole(material, keys, digests, progress, problems, cancel);
    }

    /// <summary>What earlier jobs in the folder know of input files.</summary>
    private static IEnumerable<KnownFile> KnownInputs(BuildRequest request) => !Directory.Exists(request.Output) ? []
        : new DirectoryInfo(request.Output).EnumerateFiles(JobRecord.NameFor("*.img")).OrderByDescending(f => f.LastWriteTimeUtc).SelectMany(f => JobRecord.Read(request.Output, f.Name[1..^4])?.Inputs ?? []);

    // Another build of the builder may make other bytes.
    private static string ThisProgram() => Environment.ProcessPath is { } path && JobRecord.Known(path) is { } self ? $"{self.Size} {self.Modified}" : "";

    private static BuildResult Unchanged(BuildRequest request, string name)
    {
        using var xml = File.OpenRead(Path.Combine(request.Output, name + ".bmap"));
        var map = BlockMap.ReadXml(xml);
        return new(Path.Combine(request.Output, name + Ending(request.Compress)), map.ImageSize, map.MappedBytes, BuildKind.Nothing);
    }

    private static BuildResult Whole(Material material, JobKeys keys, FileDigests digests, Progress progress, Problems problems, CancellationToken cancel)
    {
        var request = material.Request;
        if (ImagePlanner.LayOut(material.Board, material.Deploy, material.Identity, problems) is not { } disk) throw new RefusedException(problems.Sentences);
        using var outputs = new Outputs(request.Output);
        var final = material.FileName + Ending(request.Compress);
        using var file = outputs.Create(final);
        // Compressed pieces in the order in which they come; put into their places at the end.
        var heapName = final + ".pieces";
        using var heap = request.Compress == Codec.None ? null : outputs.Create(heapName);
        using ImageStore store = heap is null ? new FileStore(file.SafeFileHandle, disk.Size) : new PackedStore(request.Compress, Level(request.Compress), heap.SafeFileHandle, disk.Size);
        using var image = new ImageFile(store, disk.Size);
        var plan = Write(material, disk, image, progress, problems, cancel);
        var map = ImageDigests.Map(image, cancel);
        var whole = request.OsList is null ? null : ImageDigests.Whole(image, progress, cancel);
        if (store is PackedStore packed)
        {
            packed.WriteTo(file, progress, cancel);
            heap!.Dispose();
            outputs.Drop(heapName);
        }

        if (whole is not null)
        {
            var download = new Download(final, file.Length, heap is null ? whole : Digest(file), disk.Size, whole);
            outputs.Write(material.FileName + ".os_list.json", stream => ImagerList.Write(stream, plan.Inputs, request.OsList!, download));
        }

        Describe(outputs, plan.Inputs, material, plan.Disk, plan.CommandLine, map);
        var initramfs = plan.Boot.FirstOrDefault(b => b.Source is Source.Made && b.Path == BootFiles.Initramfs)?.Path;
        outputs.Commit(material.FileName, written => Record(keys, plan.Inputs.System, initramfs, digests, written));
        return new(Path.Combine(request.Output, final), disk.Size, map.MappedBytes, BuildKind.Whole) { Notes = material.Deploy.Notes };
    }

    private static ImagePlan Write(Material material, Images.Partitions.DiskPlan disk, ImageFile image, Progress progress, Problems problems, CancellationToken cancel)
    {
        var begun = ImagePlanner.RootPlan(material.Board, material.Identity, disk);
        using var pass = new RootPass(image, begun, material.Time);
        var supervisor = Preparation.BeginInitramfs(material);
        if (Preparation.Read(material, pass, progress, problems, cancel) is not { } inputs || problems.Any) throw new RefusedException(problems.Sentences);
        if (pass.IsFull && begun.Kind == FileSystemKind.Squashfs) problems.Add(TooLarge(inputs, begun));
        var own = RootEntries.Of(inputs);
        var rootPlan = ImagePlanner.RootPlan(inputs, disk, own, problems);
        var root = problems.Any || !pass.Follows(rootPlan, RootEntries.Replaced(own, inputs.Rootfs.Names)) ? null : Finish(pass, own, inputs, rootPlan, problems);
        inputs = inputs with { Initramfs = Preparation.Initramfs(inputs, material.Program, root, supervisor, problems) };
        var plan = ImagePlanner.Plan(inputs, problems);
        problems.ThrowIfAny();
        Outputs.Check(material.Request.Output, plan!.Allocated - image.BytesWritten, problems);
        problems.ThrowIfAny();
        if (root is null) image.Clear();
        new ImageAssembler(plan, image, progress, cancel).Run(rootIsWritten: root is not null);
        return plan;
    }

    private static IFileSystem? Finish(RootPass pass, IReadOnlyList<RootEntry> own, PlanInputs inputs, FileSystemPlan plan, Problems problems)
    {
        try
        {
            return pass.Finish(own);
        }
        catch (ImageException e) when (e.Kind == ImageErrorKind.TooLarge && plan.Kind == FileSystemKind.Squashfs)
        {
            problems.Add(TooLarge(inputs, plan));
            return null;
        }
    }

    private static string TooLarge(PlanInputs inputs, FileSystemPlan plan) =>
        $"The root file system {inputs.Deploy.Rootfs.Name} does not fit into its slot of {new ByteSize(plan.Partition.Size)} as squashfs; build a smaller image or give board {inputs.Board.Name} larger slots.";

    /// <summary>The level of a codec: gzip's and xz's own default, but for zstd 2: 3 takes half as much time again for a sixteenth less.</summary>
    private static int Level(Codec codec) => codec == Codec.Zstd ? 2 : 6;

    private static string Digest(FileStream file)
    {
        file.Position = 0;
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>Writes what stands beside the image.</summary>
    public static void Describe(Outputs outputs, BootInputs inputs, Material material, Images.Partitions.DiskPlan disk, string commandLine, BlockMap map)
    {
        var xml = new MemoryStream();
        map.WriteXml(xml);
        var digest = Convert.ToHexStringLower(SHA256.HashData(xml.GetBuffer().AsSpan(0, (int)xml.Length)));
        outputs.Write(inputs.FileName + ".bmap", xml.WriteTo);
        outputs.Write(inputs.FileName + ".json", stream => ImageDescription.Write(stream, inputs, disk, commandLine, map, digest));
        outputs.Write(inputs.FileName + ".cdx.json", stream => stream.Write(ImageDescription.Bill(inputs, material.Digests)));
    }

    /// <summary>The record of a job that is done.</summary>
    public static JobRecord Record(JobKeys keys, SystemFacts system, string? initramfs, FileDigests digests, IReadOnlyList<KnownFile> outputs) => new()
    {
        Job = keys.Job,
        Rest = keys.Rest,
        System = system,
        Initramfs = initramfs,
        Inputs = [.. digests.Settled(TimeProvider.System.GetUtcNow().UtcTicks)],
        Outputs = outputs,
    };
}

/// <summary>How much a job had to do.</summary>
internal enum BuildKind { Whole, BootOnly, Nothing }

/// <summary>What a job made.</summary>
/// <param name="Path">The image.</param>
/// <param name="Size">Its size.</param>
/// <param name="Mapped">Bytes of it that hold something.</param>
/// <param name="Kind">How much had to be done.</param>
internal sealed record BuildResult(string Path, long Size, long Mapped, BuildKind Kind)
{
    /// <summary>What is worth knowing of the inputs, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
