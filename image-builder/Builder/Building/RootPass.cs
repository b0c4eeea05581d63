using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Writes the root while it is read for the first time: where it lies and how it is made does not depend on its content, but for its
/// density of inodes and for what gives way to the builder's own files. If the plan comes out otherwise, the root is written again by the plan.</summary>
internal sealed class RootPass(ImageFile image, FileSystemPlan plan, long time) : IDisposable
{
    private static readonly HashSet<string> GiveWay = [RootEntries.SupervisorPath, RootEntries.SupervisorLink];
    private readonly TreeWriter _writer = TreeWriter.Begin(image, plan, time);
    private readonly HashSet<string> _left = [];

    /// <summary>True when an entry did not fit; nothing is written any more.</summary>
    public bool IsFull { get; private set; }

    public void Add(Node node, Stream content)
    {
        if (IsFull) return;
        if (node.Kind != NodeKind.Directory && GiveWay.Contains(node.Path))
        {
            _left.Add(node.Path);
            return;
        }

        try
        {
            _writer.Add(node, content);
        }
        catch (ImageException e) when (e.Kind == ImageErrorKind.TooLarge)
        {
            // The rest is still read: the plan tells how much is missing.
            IsFull = true;
        }
    }

    /// <summary>True when what was written is what the plan wants.</summary>
    public bool Follows(FileSystemPlan wanted, IReadOnlySet<string> replaced) =>
        !IsFull && wanted with { Need = 0, Room = 0 } == plan with { Need = 0, Room = 0 } && replaced.SetEquals(_left);

    /// <summary>Adds the builder's own files and ends the file system.</summary>
    public IFileSystem Finish(IReadOnlyList<RootEntry> own)
    {
        foreach (var entry in own) Sources.Add(_writer, entry);
        return _writer.Finish();
    }

    public void Dispose() => _writer.Dispose();
}
