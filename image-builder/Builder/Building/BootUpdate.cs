using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Bmap;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Makes the boot partition of a finished image anew, when nothing else of it has changed: the same bytes as a whole build gives.</summary>
internal static class BootUpdate
{
    /// <summary>Null when the image is not as the last job left it, and must be built whole.</summary>
    /// <exception cref="RefusedException">Something is wrong with the inputs; the image is untouched.</exception>
    public static BuildResult? Run(Material material, JobRecord last, JobKeys keys, FileDigests digests, Progress progress, Problems problems, CancellationToken cancel)
    {
        var name = material.FileName;
        var path = Path.Combine(material.Request.Output, name);
        var inputs = new BootInputs
        {
            Board = material.Board,
            Deploy = material.Deploy,
            User = material.User,
            System = last.System,
            Identity = material.Identity,
            Time = material.Time,
            BuilderVersion = material.Request.BuilderVersion,
            Initramfs = material.Deploy.Initramfs is { } given ? new Source.FromFile(given) : null,
        };
        BlockMap old;
        using (var xml = File.OpenRead(path + ".bmap")) old = BlockMap.ReadXml(xml);
        long used;
        using (var image = File.OpenRead(path))
        {
            if (ImagePlanner.LayOut(inputs, problems) is not { } disk) throw new RefusedException(problems.Sentences);
            var partition = disk.Partitions.First(p => inputs.Board.Partition(p.Spec.Name)!.Role == Boards.PartitionRole.Boot);
            var boot = new FatReader(new SubStream(image, partition.Offset, partition.Size));
            used = boot.Used;
            if (old.Ranges.Any(r => Crosses(r, old.BlockSize, partition.Offset) || Crosses(r, old.BlockSize, partition.Offset + partition.Size))) return null;
            if (last.Initramfs is { } initramfs)
            {
                if (boot.Find(initramfs) is null) return null;
                using var content = boot.Open(initramfs);
                var bytes = new byte[content.Length];
                content.ReadExactly(bytes);
                inputs = inputs with { Initramfs = new Source.Made(bytes) };
            }
        }

        var plan = ImagePlanner.Boot(inputs, problems);
        problems.ThrowIfAny();
        Outputs.Check(material.Request.Output, plan!.FileSystem.Need, problems);
        problems.ThrowIfAny();
        cancel.ThrowIfCancellationRequested();

        // From here on it is not stopped: half a boot partition would be an image that does not boot.
        using var outputs = new Outputs(material.Request.Output);
        var map = Rewrite(outputs.Take(name), plan, inputs, old, used, progress);
        BuildJob.Describe(outputs, inputs, material, plan.Disk, plan.CommandLine, map);
        outputs.Commit(name, written => BuildJob.Record(keys, last.System, last.Initramfs, digests, written));
        return new(path, plan.Disk.Size, map.MappedBytes, BuildKind.BootOnly);
    }

    private static bool Crosses(BlockRange range, int blockSize, long border) => range.First * blockSize < border && (range.Last + 1) * blockSize > border;

    private static BlockMap Rewrite(FileStream file, BootPlan plan, BootInputs inputs, BlockMap old, long used, Progress progress)
    {
        var partition = plan.FileSystem.Partition;
        using (file)
        {
            // A writer of file systems counts on zeros where it writes nothing.
            var zeros = new byte[1 << 20];
            for (long at = 0; at < used; at += zeros.Length) RandomAccess.Write(file.SafeFileHandle, zeros.AsSpan(0, (int)Math.Min(zeros.Length, used - at)), partition.Offset + at);
            using var store = new FileStore(file.SafeFileHandle, plan.Disk.Size);
            using var image = new ImageFile(store, plan.Disk.Size);
            BootWriter.Write(image, plan.FileSystem, plan.Files, inputs, progress, CancellationToken.None);
            var boot = ImageDigests.Map(image, CancellationToken.None);
            var (first, end) = (partition.Offset / old.BlockSize, (partition.Offset + partition.Size) / old.BlockSize);
            return old with { Ranges = [.. old.Ranges.Where(r => r.First < first || r.First >= end).Concat(boot.Ranges).OrderBy(r => r.First)] };
        }
    }
}
