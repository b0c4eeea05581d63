using System.Text;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>A board as text for a person: what it takes, where everything goes, what is proven.</summary>
internal static class BoardText
{
    /// <summary>The whole board.</summary>
    public static string Describe(Board board)
    {
        var text = new StringBuilder();
        void Line(string key, string value) => text.Append(key.PadRight(10)).AppendLine(value);
        Line("board", $"{board.Name}: {board.Title}");
        Line("status", Words.Status.Of(board.Status) + (board.Qemu is { } q ? $"; QEMU -machine {q.Machine} with {Words.QemuFirmware.Of(q.Firmware)}: {q.Proves}" : ""));
        Line("machine", string.Join(", ", board.Machines) + Aside([board.Layer, board.Tune, Words.Arch.Of(board.Arch)]));
        Line("medium", string.Join(", ", board.Medium.Buses.Select(Words.Bus.Of)) + (board.Medium.Kind == MediumKind.Install ? ", to install from" : "") + Aside([board.Medium.Device]));
        Line("boot", $"{Words.Flow.Of(board.Boot.Flow)}, {Words.Loader.Of(board.Boot.Loader)}{Loader(board.Boot)}; console {string.Join(' ', board.Boot.Consoles)}");
        Line("slots", Slots(board));
        if (board.ExternalFirmware is { } external)
            Line("firmware", $"in {Words.FirmwareHome.Of(external.Where)}" + Aside([external.Note, external.MinVersion]));
        foreach (var artifact in Takes(board)) Line("takes", artifact);
        text.AppendLine().Append(Layout(board));
        text.AppendLine();
        foreach (var sentence in board.Unproven) Line("unproven", sentence);
        foreach (var source in board.Sources) Line("source", source);
        return text.ToString();
    }

    /// <summary>The disk from its first byte to its last; blobs with the most room they may take.</summary>
    public static string Layout(Board board)
    {
        var plan = DiskPlan.For(BoardDisk.Spec(board, new Guid(1, 0, 0, new byte[8]), Placeholder));
        var rows = new List<(long At, string[] Cells)>();
        void Row(string what, ByteRange range, string kind) => rows.Add((range.Offset, [what, range.Offset.ToString(), Exact(range.Length), kind]));
        if (board.Table.Kind == TableKind.Mbr) Row("table", new(440, 72), "mbr");
        else Row("table", new(0, (board.Table.EntriesLba * board.Table.SectorSize) + 16384), Words.Table.Of(board.Table.Kind));
        foreach (var blob in board.Firmware)
        {
            if (blob is { Extent: { } extent, Place: BlobPlace.AtOffset at })
                Row(Files(blob), extent, "raw" + (at.Skip > 0 ? $", from byte {at.Skip} of the file" : "") + (at.Length is null ? ", at most" : "") + string.Concat(at.Preserve.Select(p => $", sparing {p}")) + Variant(blob));
        }

        foreach (var range in board.Boot.Environment?.Ranges ?? []) Row("U-Boot environment", range, "kept free");
        if (plan.Extended is { } extended) Row("extended", extended, "0x0f");
        foreach (var p in plan.Partitions)
        {
            var own = board.Partition(p.Spec.Name)!;
            var inside = board.Firmware.Where(b => b.Place is BlobPlace.InPartition at && at.Partition == own.Name).Select(b => " holds " + Files(b) + Variant(b));
            Row($"{p.Number} {own.Name}", p.Range, $"{Words.FileSystem.Of(own.FileSystem)} {Type(board, own)}{(own.Active ? " active" : "")}{(own.Grow ? " grows" : "")}{string.Concat(inside)}");
        }

        List<string[]> cells = [["what", "offset", "size", "kind"], .. rows.OrderBy(r => r.At).Select(r => r.Cells), ["end", plan.Size.ToString(), Exact(plan.Size), ""]];
        return Table(cells, rightAligned: 1);
    }

    /// <summary>Cells as columns, two spaces apart.</summary>
    public static string Table(IReadOnlyList<string[]> rows, int rightAligned = -1)
    {
        var widths = Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length)).ToList();
        var text = new StringBuilder();
        foreach (var row in rows)
            text.AppendLine(string.Join("  ", row.Select((cell, c) => c == rightAligned ? cell.PadLeft(widths[c]) : cell.PadRight(widths[c]))).TrimEnd());
        return text.ToString();
    }

    /// <summary>In the largest unit that is whole: a layout is no place for rounding.</summary>
    private static string Exact(long bytes) => bytes % (1 << 20) == 0 ? $"{bytes >> 20} MiB" : bytes % 1024 == 0 ? $"{bytes >> 10} KiB" : $"{bytes} B";

    private static IEnumerable<string> Takes(Board board)
    {
        var artifacts = board.Artifacts;
        yield return $"{Alternatives(artifacts.Kernel.Files)} as kernel ({Words.Kernel.Of(artifacts.Kernel.Type)})";
        foreach (var tree in artifacts.DeviceTrees) yield return $"{Alternatives(tree.Files)} as device tree{Maybe(tree.Optional)}";
        foreach (var tree in artifacts.Overlays) yield return $"{Alternatives(tree.Files)} as overlays{Maybe(tree.Optional)}";
        if (artifacts.Rootfs is { } rootfs) yield return $"{Alternatives(rootfs.Files)} as root file system{Maybe(rootfs.Optional)}";
        if (artifacts.Modules is { } modules) yield return $"{Alternatives(modules.Files)} as modules{Maybe(modules.Optional)}";
        if (artifacts.Initramfs is { } initramfs) yield return $"{Alternatives(initramfs.Files)} as initramfs{Maybe(initramfs.Optional)}";
        if (artifacts.Microcode is { } microcode) yield return $"{Alternatives(microcode.Files)} as microcode{Maybe(microcode.Optional)}";
        foreach (var blob in board.Firmware.Where(b => b.Place is BlobPlace.InBootFile))
            yield return $"{Files(blob)} as boot:{((BlobPlace.InBootFile)blob.Place).Path}{Variant(blob)}{Maybe(blob.Optional)}";
        foreach (var file in board.BootFiles) yield return $"{file.Source} as boot:{file.Dest}{Maybe(file.Optional)}";
    }

    private static string Slots(Board board)
    {
        var slots = board.Slots;
        if (slots.Scheme == SlotScheme.None) return "none: no automatic way back";
        var place = slots.Path is { } path ? $"{Words.Store.Of(slots.Store!.Value)} boot:{path}" : Words.Store.Of(slots.Store!.Value);
        return $"{Words.Scheme.Of(slots.Scheme)}, {slots.Limit} {(slots.Limit == 1 ? "try" : "tries")}, counted in {place}; root by {Words.RootBy.Of(board.Boot.RootBy)}";
    }

    private static string Type(Board board, BoardPartition p) => board.Table.Kind == TableKind.Mbr ? $"0x{p.MbrType:x2}" : p.GptType.ToString();

    private static string Loader(BootForm boot) => boot.LoaderFile is { } file ? $" ({Alternatives(file.Files)} as {file.Dest})" : "";

    private static string Files(Blob blob) => Alternatives(blob.Files);

    private static string Alternatives(IReadOnlyList<string> files) => string.Join(" or ", files);

    private static string Variant(Blob blob) => blob.Variant is { } variant ? $" for {variant}" : "";

    private static string Maybe(bool optional) => optional ? ", if there" : "";

    private static string Aside(string?[] parts) => parts.OfType<string>().ToList() is { Count: > 0 } list ? $" ({string.Join(", ", list)})" : "";

    /// <summary>Ids take no part in the layout, but the table wants each to be its own.</summary>
    public static Guid Placeholder(string name) => new(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 16));
}
