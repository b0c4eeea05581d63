using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Ext4;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Performs a plan: file systems into their partitions, firmware to its places, the partition table last.</summary>
internal sealed class ImageAssembler(ImagePlan plan, ImageFile image, Progress progress, CancellationToken cancel)
{
    public void Run()
    {
        foreach (var fileSystem in plan.FileSystems)
        {
            cancel.ThrowIfCancellationRequested();
            using var partition = new SubStream(image, fileSystem.Partition.Offset, fileSystem.Partition.Size);
            if (fileSystem.Kind == FileSystemKind.Vfat) WriteBoot(fileSystem, partition);
            else if (fileSystem.Role == PartitionRole.RootA) WriteRoot(fileSystem, partition);
            else WriteEmpty(fileSystem, partition);
        }

        WriteBlobs();
        // Last: until then the file is no disk that anybody could take for a finished one.
        foreach (var write in PartitionTable.Writes(plan.Disk))
        {
            image.Position = write.Offset;
            image.Write(write.Bytes.Span);
        }

        image.Flush();
    }

    private void WriteBlobs()
    {
        foreach (var (blob, file) in plan.Disk.Blobs.Zip(plan.Blobs))
        {
            cancel.ThrowIfCancellationRequested();
            using var content = file.Open();
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

    private void WriteBoot(FileSystemPlan fileSystem, SubStream partition)
    {
        var step = progress.Begin("boot", plan.Boot.Sum(b => b.Source.Size));
        var writer = new FatWriter(partition, FatLayout.For(FileSystemOptions.Fat(fileSystem, plan.Identity, plan.Time)));
        foreach (var entry in plan.Boot)
        {
            cancel.ThrowIfCancellationRequested();
            using var content = Open(entry.Source);
            writer.AddFile(entry.Path, entry.Source.Size, content);
            step.Add(entry.Source.Size);
        }

        writer.Finish();
        // Free table entries are zeros that must reach the medium: FAT has no other word for free. The writer fills from the front, so all
        // that matters lies there.
        image.Mark(fileSystem.Partition.Offset, new FatReader(partition).Used);
        step.End();
    }

    private void WriteRoot(FileSystemPlan fileSystem, SubStream partition)
    {
        var step = progress.Begin("root", plan.Rootfs.Size);
        var layout = Ext4Layout.For(FileSystemOptions.Ext4(fileSystem, plan.Time));
        var writer = new Ext4Writer(partition, layout);
        using (var raw = plan.Rootfs.Open())
        {
            foreach (var (node, content) in RootfsReader.Entries(raw, plan.RootfsType))
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
                if (ModuleSet.VersionOf(node.Path) is null) continue;
                writer.Add(modules.Dest.Length == 0 ? node : node with { Path = $"{modules.Dest}/{node.Path}" }, content);
            }
        }

        foreach (var entry in plan.Root)
        {
            using var content = entry.Source is { } source ? Open(source) : Stream.Null;
            writer.Add(entry.Node, content);
        }

        writer.Finish();
        MarkZeros(fileSystem, layout);
        step.End();
    }

    private void WriteEmpty(FileSystemPlan fileSystem, SubStream partition)
    {
        var layout = Ext4Layout.For(FileSystemOptions.Ext4(fileSystem, plan.Time));
        var writer = new Ext4Writer(partition, layout);
        writer.Add(new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED, ModifiedAt = plan.Time }, Stream.Null);
        writer.Add(new Node { Path = "lost+found", Kind = NodeKind.Directory, Mode = 0x1C0, ModifiedAt = plan.Time }, Stream.Null);
        writer.Finish();
        MarkZeros(fileSystem, layout);
    }

    private void MarkZeros(FileSystemPlan fileSystem, Ext4Layout layout)
    {
        foreach (var (offset, length) in layout.MustBeZero) image.Mark(fileSystem.Partition.Offset + offset, length);
    }

    private static Stream Open(Source source) => source switch
    {
        Source.FromFile file => file.File.Open(),
        Source.Made made => new MemoryStream(made.Bytes.ToArray(), writable: false),
        _ => throw new System.Diagnostics.UnreachableException(),
    };
}
