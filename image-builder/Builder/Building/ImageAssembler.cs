using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Partitions;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Performs a plan: file systems into their partitions, firmware to its places, the partition table last.</summary>
internal sealed class ImageAssembler(ImagePlan plan, ImageFile image, Progress progress, CancellationToken cancel)
{
    /// <param name="rootIsWritten">True when the root was written while it was read.</param>
    public void Run(bool rootIsWritten = false)
    {
        foreach (var fileSystem in plan.FileSystems)
        {
            cancel.ThrowIfCancellationRequested();
            if (fileSystem.Kind == FileSystemKind.Vfat) BootWriter.Write(image, fileSystem, plan.Boot, plan.Inputs, progress, cancel);
            else if (fileSystem.Role != PartitionRole.RootA) WriteEmpty(fileSystem);
            else if (!rootIsWritten) WriteRoot(fileSystem);
        }

        WriteBlobs(image, plan.Disk, plan.Deploy);
        // Last: until then the file is no disk that anybody could take for a finished one.
        foreach (var write in PartitionTable.Writes(plan.Disk))
        {
            image.Position = write.Offset;
            image.Write(write.Bytes.Span);
        }

        image.Flush();
    }

    private static void WriteBlobs(ImageFile image, DiskPlan disk, DeployContent deploy)
    {
        foreach (var (blob, placed) in disk.Blobs.Zip(deploy.RawBlobs))
        {
            using var content = placed.File.Open();
            foreach (var piece in blob.Pieces)
            {
                content.Position = piece.FileOffset;
                image.Position = piece.DiskOffset;
                var bytes = new byte[piece.Length];
                content.ReadExactly(bytes);
                image.Write(bytes);
            }
        }
    }

    private void WriteRoot(FileSystemPlan fileSystem)
    {
        var step = progress.Begin("root", plan.Deploy.Rootfs.Size);
        using var writer = TreeWriter.Begin(image, fileSystem, plan.Inputs.Time);
        using (var raw = plan.Deploy.Rootfs.Open())
        {
            foreach (var (node, content) in RootfsReader.Entries(raw, plan.Deploy.RootfsType))
            {
                cancel.ThrowIfCancellationRequested();
                if (!plan.Replaced.Contains(node.Path)) writer.Add(node, content);
                step.At(raw.Position);
            }
        }

        if (plan.Modules is { } modules)
        {
            foreach (var (node, content) in ModuleArchive.Read(modules.File))
            {
                cancel.ThrowIfCancellationRequested();
                if (ModuleSet.VersionOf(node.Path) is not null) writer.Add(modules.Dest.Length == 0 ? node : node with { Path = $"{modules.Dest}/{node.Path}" }, content);
            }
        }

        foreach (var entry in plan.Root) Sources.Add(writer, entry);
        writer.Finish();
        step.End();
    }

    private void WriteEmpty(FileSystemPlan fileSystem)
    {
        using var writer = TreeWriter.Begin(image, fileSystem, plan.Inputs.Time);
        writer.Add(new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED, ModifiedAt = plan.Inputs.Time }, Stream.Null);
        writer.Add(new Node { Path = "lost+found", Kind = NodeKind.Directory, Mode = 0x1C0, ModifiedAt = plan.Inputs.Time }, Stream.Null);
        writer.Finish();
    }
}
