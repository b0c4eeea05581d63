using System.CommandLine;
using System.Text;
using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder boards [NAME]</c>: the boards there are, or one of them with its layout.</summary>
internal static class BoardsCommand
{
    public static Command Create(Option<bool> json, TextWriter output, TextWriter errors)
    {
        var name = new Argument<string?>("NAME") { Description = "A board, or a path to a board file: shows its layout.", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("boards", "List the boards, or show one with everything that is known of it.") { name };
        command.SetAction(parsed => Run(parsed.GetValue(name), parsed.GetValue(json), output, errors));
        return command;
    }

    /// <summary>Exit code 0, or 2 when there is no such board.</summary>
    internal static int Run(string? name, bool json, TextWriter output, TextWriter errors)
    {
        if (name is null)
        {
            if (json) foreach (var board in BoardCatalog.All) output.WriteLine(Json(board, whole: false));
            else output.Write(List(BoardCatalog.All));
            return 0;
        }

        var (one, problems) = BoardSource.Open(name);
        foreach (var problem in problems)
        {
            if (json) output.WriteLine(Object(w => { w.WriteString("result", "refused"); w.WriteString("message", problem); }));
            else errors.WriteLine($"error: {problem}");
        }

        if (one is null) return 2;
        if (json) output.WriteLine(Json(one, whole: true));
        else output.Write(BoardText.Describe(one));
        return 0;
    }

    private static string List(IReadOnlyList<Board> boards)
    {
        List<string[]> rows = [["board", "arch", "status", "machine", "title"]];
        rows.AddRange(boards.Select(b => new[] { b.Name, Words.Arch.Of(b.Arch), Words.Status.Of(b.Status), string.Join(", ", b.Machines), b.Title }));
        var proven = boards.Count(b => b.Status != BoardStatus.LayoutOnly);
        return BoardText.Table(rows)
            + $"{Environment.NewLine}{boards.Count} boards, {proven} of them proven by a boot; layout-only means that only the layout was checked. `image-builder boards NAME` shows one.{Environment.NewLine}";
    }

    private static string Json(Board board, bool whole) => Object(w =>
    {
        w.WriteString("name", board.Name);
        w.WriteString("title", board.Title);
        w.WriteString("arch", Words.Arch.Of(board.Arch));
        Strings(w, "machines", board.Machines);
        w.WriteString("status", Words.Status.Of(board.Status));
        if (!whole) return;
        if (board.Layer is not null) w.WriteString("layer", board.Layer);
        if (board.Tune is not null) w.WriteString("tune", board.Tune);
        Strings(w, "media", board.Medium.Buses.Select(Words.Bus.Of));
        w.WriteString("flow", Words.Flow.Of(board.Boot.Flow));
        w.WriteString("loader", Words.Loader.Of(board.Boot.Loader));
        w.WriteString("slots", Words.Scheme.Of(board.Slots.Scheme));
        w.WriteString("table", Words.Table.Of(board.Table.Kind));
        w.WriteStartArray("partitions");
        foreach (var p in DiskPlan.For(BoardDisk.Spec(board, new Guid(1, 0, 0, new byte[8]), BoardText.Placeholder)).Partitions)
        {
            var own = board.Partition(p.Spec.Name)!;
            w.WriteStartObject();
            w.WriteNumber("number", p.Number);
            w.WriteString("name", own.Name);
            w.WriteString("role", Words.Role.Of(own.Role));
            w.WriteNumber("offset", p.Offset);
            w.WriteNumber("size", p.Size);
            w.WriteString("fs", Words.FileSystem.Of(own.FileSystem));
            w.WriteEndObject();
        }

        w.WriteEndArray();
        if (board.Qemu is { } qemu)
        {
            w.WriteStartObject("qemu");
            w.WriteString("machine", qemu.Machine);
            if (qemu.Cpu is not null) w.WriteString("cpu", qemu.Cpu);
            w.WriteNumber("memory", qemu.Memory);
            w.WriteString("firmware", Words.QemuFirmware.Of(qemu.Firmware));
            w.WriteString("disk", Words.QemuDisk.Of(qemu.Disk));
            w.WriteEndObject();
        }

        Strings(w, "unproven", board.Unproven);
        Strings(w, "sources", board.Sources);
    });

    private static void Strings(Utf8JsonWriter w, string key, IEnumerable<string> values)
    {
        w.WriteStartArray(key);
        foreach (var value in values) w.WriteStringValue(value);
        w.WriteEndArray();
    }

    internal static string Object(Action<Utf8JsonWriter> write)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.ToArray());
    }
}
