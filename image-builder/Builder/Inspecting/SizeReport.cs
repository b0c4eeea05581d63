using System.Text;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>A directory or file and what it takes, all below it included.</summary>
internal sealed record SizeNode(string Name, long Size, IReadOnlyList<SizeNode> Below);

/// <summary>What makes an image big.</summary>
internal static class SizeReport
{
    /// <summary>Sums up a file system, the largest first.</summary>
    public static SizeNode Of(IFileSystem fileSystem, string name)
    {
        SizeNode Sum(string path, string title)
        {
            var below = new List<SizeNode>();
            foreach (var node in fileSystem.List(path))
            {
                if (node.Kind == NodeKind.Directory) below.Add(Sum(node.Path, node.Name));
                else if (node.Kind == NodeKind.File) below.Add(new(node.Name, node.Size, []));
            }

            below.Sort((a, b) => a.Size != b.Size ? b.Size.CompareTo(a.Size) : string.CompareOrdinal(a.Name, b.Name));
            return new(title, below.Sum(b => b.Size), below);
        }

        return Sum("", name);
    }

    /// <summary>The tree down to <paramref name="depth"/> levels, without what takes less than a hundredth of the whole.</summary>
    public static string Describe(SizeNode root, int depth = 3)
    {
        var rows = new List<string[]>();
        void Add(SizeNode node, int level)
        {
            rows.Add([new ByteSize(node.Size).ToString().PadLeft(10), $"{(root.Size == 0 ? 0 : 100.0 * node.Size / root.Size),5:0.0} %", new string(' ', level * 2) + node.Name]);
            if (level == depth) return;
            foreach (var below in node.Below.Where(b => b.Size * 100 >= root.Size && b.Size > 0)) Add(below, level + 1);
        }

        Add(root, 0);
        var text = new StringBuilder();
        PlanText.Table(text, null, rows);
        return text.ToString();
    }
}
