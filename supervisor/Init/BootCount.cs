using System.Globalization;
using System.Text.RegularExpressions;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>
/// The name of a loader entry with systemd-boot's counters (Boot Loader Specification, "Boot counting"): <c>slot-b+2-1.conf</c> has two tries left
/// and has had one. The loader counts by renaming; a name without counters is a good entry, for which nothing is counted.
/// </summary>
internal sealed record LoaderEntry(string Id, int? Left, int? Done)
{
    public bool IsOnTrial => Left is not null;

    /// <summary>The name of a good entry.</summary>
    public string GoodName => Id + ".conf";

    public static LoaderEntry? Parse(string fileName)
    {
        var match = Name.Match(fileName);
        if (!match.Success) return null;
        return new LoaderEntry(match.Groups["id"].Value, Number(match.Groups["left"]), Number(match.Groups["done"]));
    }

    public override string ToString() => Id + (Left is null ? "" : $"+{Left}") + (Done is null ? "" : $"-{Done}") + ".conf";

    private static int? Number(Group group) => group.Success ? int.Parse(group.Value, CultureInfo.InvariantCulture) : null;

    private static readonly Regex Name = new(@"^(?<id>[A-Za-z0-9._-]*[A-Za-z0-9])(\+(?<left>\d{1,4})(-(?<done>\d{1,4}))?)?\.conf$", RegexOptions.ExplicitCapture);
}

/// <summary>Marks the running slot good when it is on trial: one rename on the boot partition.</summary>
internal static class BootCount
{
    /// <summary>The rename that makes a slot good; null when it is good already or the loader does not count. Pure.</summary>
    public static (string From, string To)? Rename(IEnumerable<string> names, string slot) =>
        names.Select(n => (Name: n, Entry: LoaderEntry.Parse(n)))
            .Where(e => e.Entry is { IsOnTrial: true } entry && entry.Id == $"slot-{slot}")
            .Select(e => ((string, string)?)(e.Name, e.Entry!.GoodName))
            .FirstOrDefault();

    /// <summary>True when a slot on trial was marked.</summary>
    public static bool MarkGood(string boot, string slot)
    {
        var entries = Path.Combine(boot, "loader", "entries");
        if (!Directory.Exists(entries)) return false;
        if (Rename(Directory.EnumerateFiles(entries).Select(f => Path.GetFileName(f)!), slot) is not var (from, to)) return false;
        const ulong quiet = Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec | Libc.MsNoAtime;
        Libc.Mount("none", boot, null, Libc.MsRemount | quiet, null);
        try
        {
            File.Move(Path.Combine(entries, from), Path.Combine(entries, to), overwrite: true);
            Libc.Sync();
        }
        finally
        {
            Libc.Mount("none", boot, null, Libc.MsRemount | Libc.MsRdOnly | quiet, null);
        }

        return true;
    }
}
