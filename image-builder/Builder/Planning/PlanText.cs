using System.Text;
using OsBuild.ImageBuilder.Boards;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>Prints a plan. Pure.</summary>
internal static class PlanText
{
    public static string Describe(ImagePlan plan)
    {
        var text = new StringBuilder();
        text.Append($"{plan.FileName}: {plan.Board.Title}, {plan.Deploy.Image} {plan.Inputs.System.Version}, kernel {plan.Inputs.System.Kernel}, {new ByteSize(plan.Disk.Size)}\n\n");
        Table(text, ["#", "partition", "offset", "size", "file system", "content", "room"], [.. plan.Disk.Partitions.Select(p =>
        {
            var fs = plan.FileSystems.FirstOrDefault(f => f.Partition == p);
            return new[]
            {
                p.Number.ToString(), p.Spec.Name, p.Offset.ToString(), new ByteSize(p.Size).ToString(), fs is null ? "-" : Words.FileSystem.Of(fs.Kind),
                fs is null ? "empty" : new ByteSize(fs.Need).ToString(), fs is null ? "" : new ByteSize(fs.Room).ToString(),
            };
        })]);
        if (plan.Disk.Blobs.Count > 0)
        {
            text.Append("\nfirmware\n");
            Table(text, null, [.. plan.Disk.Blobs.Select(b => new[] { "  " + b.Spec.Name, new ByteSize(b.Pieces.Sum(p => p.Length)).ToString(), $"at byte {b.Pieces[0].DiskOffset}" })]);
        }

        text.Append("\nboot partition\n");
        Table(text, null, [.. plan.Boot.Select(b => new[] { "  " + b.Path, new ByteSize(b.Source.Size).ToString(), b.Source.ToString() })]);
        text.Append($"\nroot file system, from {plan.Deploy.Rootfs.Name}\n");
        var added = plan.Root.Where(r => !r.Node.Path.StartsWith("dev/", StringComparison.Ordinal)).Select(r => new[] { "  " + r.Node.Path, Kind(r), r.Source?.ToString() ?? "" }).ToList();
        var devices = plan.Root.Count(r => r.Node.Path.StartsWith("dev/", StringComparison.Ordinal));
        if (devices > 0) added.Add(["  dev/", $"{devices} device nodes", ""]);
        if (plan.Modules is { } modules) added.Add([$"  {(modules.Dest.Length == 0 ? "" : modules.Dest + "/")}lib/modules/{plan.Inputs.System.Kernel}", "kernel modules", modules.File.Name]);
        Table(text, null, added);
        text.Append($"\nkernel command line\n  {plan.CommandLine}\n");
        foreach (var note in plan.Deploy.Notes) text.Append($"\nnote: {note}\n");
        return text.ToString();
    }

    private static string Kind(RootEntry entry) => entry.Source is { } source
        ? new ByteSize(source.Size).ToString()
        : entry.Node.LinkTarget is { } target ? "-> " + target : "directory";

    /// <summary>Columns as wide as their widest text, two spaces apart; nothing after the last.</summary>
    public static void Table(StringBuilder text, string[]? heads, IReadOnlyList<string[]> rows)
    {
        var all = heads is null ? rows : [heads, .. rows];
        if (all.Count == 0) return;
        var widths = Enumerable.Range(0, all[0].Length).Select(c => all.Max(r => r[c].Length)).ToArray();
        foreach (var row in all)
            text.Append(string.Join("  ", row.Select((cell, c) => cell.PadRight(widths[c]))).TrimEnd()).Append('\n');
    }
}
