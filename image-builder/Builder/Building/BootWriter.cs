using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Fat;
using OsBuild.Images.Streams;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Writes the boot partition.</summary>
internal static class BootWriter
{
    public static void Write(ImageFile image, FileSystemPlan plan, IReadOnlyList<BootEntry> files, BootInputs inputs, Progress progress, CancellationToken cancel)
    {
        var step = progress.Begin("boot", files.Sum(f => f.Source.Size));
        using var partition = new SubStream(image, plan.Partition.Offset, plan.Partition.Size);
        var writer = new FatWriter(partition, FatLayout.For(FileSystemOptions.Fat(plan, inputs.Identity, inputs.Time)));
        foreach (var file in files)
        {
            cancel.ThrowIfCancellationRequested();
            using var content = Sources.Open(file.Source);
            writer.AddFile(file.Path, file.Source.Size, content);
            step.Add(file.Source.Size);
        }

        writer.Finish();
        // Free table entries are zeros that must reach the medium: FAT has no other word for free. The writer fills from the front, so all
        // that matters lies there.
        image.Mark(plan.Partition.Offset, new FatReader(partition).Used);
        step.End();
    }
}
