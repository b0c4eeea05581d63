using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.SquashFs;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Puts a tree into a partition of the image, as the file system that was planned.</summary>
internal abstract class TreeWriter : IDisposable
{
    /// <summary>Begins an empty file system.</summary>
    public static TreeWriter Begin(ImageFile image, FileSystemPlan plan, long time) => plan.Kind == FileSystemKind.Squashfs
        ? new SquashFs(image, plan, time)
        : new Ext4(image, plan, time);

    public abstract void Add(Node node, Stream content);

    /// <summary>Writes what comes last, and opens what was written.</summary>
    /// <exception cref="ImageException">The tree does not fit.</exception>
    public abstract IFileSystem Finish();

    public abstract void Dispose();

    private sealed class Ext4 : TreeWriter
    {
        private readonly ImageFile _image;
        private readonly FileSystemPlan _plan;
        private readonly SubStream _partition;
        private readonly Ext4Layout _layout;
        private readonly Ext4Writer _writer;

        public Ext4(ImageFile image, FileSystemPlan plan, long time)
        {
            (_image, _plan) = (image, plan);
            _partition = new(image, plan.Partition.Offset, plan.Partition.Size);
            _layout = Ext4Layout.For(FileSystemOptions.Ext4(plan, time));
            _writer = new(_partition, _layout);
        }

        public override void Add(Node node, Stream content) => _writer.Add(node, content);

        public override IFileSystem Finish()
        {
            _writer.Finish();
            foreach (var (offset, length) in _layout.MustBeZero) _image.Mark(_plan.Partition.Offset + offset, length);
            return new Ext4Reader(_partition);
        }

        public override void Dispose() => _partition.Dispose();
    }

    private sealed class SquashFs(ImageFile image, FileSystemPlan plan, long time) : TreeWriter
    {
        private readonly SubStream _partition = new(image, plan.Partition.Offset, plan.Partition.Size);
        private SquashFsWriter? _writer;

        private SquashFsWriter Writer => _writer ??= new(_partition, FileSystemOptions.SquashFs(time, Environment.ProcessorCount));

        public override void Add(Node node, Stream content) => Writer.Add(node, content);

        public override IFileSystem Finish()
        {
            Writer.Finish();
            return new SquashFsReader(_partition);
        }

        public override void Dispose()
        {
            _writer?.Dispose();
            _partition.Dispose();
        }
    }
}
