using OsBuild.Images;

namespace OsBuild.Flasher.Choosing;

/// <summary>The chooser as lines of text for a terminal. Pure.</summary>
internal static class ChooserView
{
    private const string Bold = "\e[1m", Grey = "\e[90m", Marked = "\e[7m", Warning = "\e[33m", Plain = "\e[0m";

    /// <summary>All lines, cut to the width of the terminal.</summary>
    public static IReadOnlyList<string> Lines(Chooser state, int width) => [.. (state.Stage == ChooserStage.Confirming ? Question(state) : List(state)).Select(l => Cut(l, width))];

    private static IEnumerable<string> List(Chooser state)
    {
        yield return $"{Bold}Which drive shall hold {state.Image}?{Plain}";
        yield return "";
        var (device, model) = Widths(state);
        if (state.Fit.Count == 0) yield return "  No drive can be written now. Put a card or stick in; it appears here.";
        foreach (var drive in state.Fit)
        {
            var under = drive.Identity == state.Cursor;
            var mark = state.Marked.Contains(drive.Identity) ? "[x]" : "[ ]";
            yield return $"{(under ? Marked : "")}{(under ? ">" : " ")} {mark} {Row(drive, device, model)}{Plain}";
            foreach (var warning in drive.Verdict.Warnings) yield return $"        {Warning}{warning}{Plain}";
        }

        if (state.Refused.Count > 0)
        {
            yield return "";
            yield return $"{Grey}  Not to be written:{Plain}";
        }

        foreach (var drive in state.Refused) yield return $"{Grey}      {Row(drive, device, model)}  {drive.Refusal}{Plain}";
        yield return "";
        yield return state.Note.Length > 0 ? $"{Warning}{state.Note}{Plain}" : "";
        yield return $"{Grey}Up/Down move   Space mark several   Enter go on   q leave{Plain}";
    }

    private static IEnumerable<string> Question(Chooser state)
    {
        yield return $"{Bold}Everything on {(state.Chosen.Count == 1 ? "this drive" : $"these {state.Chosen.Count} drives")} will be overwritten with {state.Image}:{Plain}";
        yield return "";
        var (device, model) = Widths(state);
        foreach (var drive in state.Chosen)
        {
            yield return $"    {Row(drive, device, model)}";
            if (drive.Disk.Holds.Count > 0) yield return $"        holds {string.Join(", ", drive.Disk.Holds)}";
            foreach (var warning in drive.Verdict.Warnings) yield return $"        {Warning}{warning}{Plain}";
        }

        yield return "";
        yield return state.Note.Length > 0 ? $"{Warning}{state.Note}{Plain}" : "";
        yield return $"Type {Bold}{state.Word}{Plain} and Enter to write, Esc to go back: {state.Typed}";
    }

    private static (int Device, int Model) Widths(Chooser state) =>
        (state.Drives.Select(d => d.Disk.Device.Length).DefaultIfEmpty(0).Max(), Math.Min(28, state.Drives.Select(d => d.Disk.Model.Length).DefaultIfEmpty(0).Max()));

    private static string Row(Choice drive, int device, int model)
    {
        var name = drive.Disk.Model.Length > model ? drive.Disk.Model[..(model - 1)] + "…" : drive.Disk.Model;
        return $"{drive.Disk.Device.PadRight(device)}  {new ByteSize(drive.Disk.Size),10}  {name.PadRight(model)}  {drive.Disk.Transport}";
    }

    /// <summary>Cuts a line after so many visible characters; colours take no room.</summary>
    private static string Cut(string line, int width)
    {
        var visible = 0;
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] == '\e')
            {
                i = line.IndexOf('m', i);
                continue;
            }

            if (++visible == width) return i + 1 < line.Length ? line[..i] + "…" + Plain : line;
        }

        return line;
    }
}
