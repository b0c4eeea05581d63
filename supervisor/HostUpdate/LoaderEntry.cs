using System.Globalization;
using System.Text.RegularExpressions;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>
/// The name of a loader entry with systemd-boot's counters (Boot Loader Specification, "Boot counting"): <c>slot-b+2-1.conf</c> has two tries left
/// and has had one. The loader counts by renaming; a name without counters is a good entry, for which nothing is counted.
/// </summary>
internal sealed record LoaderEntry(string Id, int? Left, int? Done)
{
    public bool IsOnTrial => Left is not null;

    /// <summary>The name of a good entry.</summary>
    public string GoodName => Id + ".conf";

    /// <summary>The name with the try that is under way given back: it ended in order, and says nothing about the slot.</summary>
    public string UncountedName => IsOnTrial && Done > 0 ? new LoaderEntry(Id, Left + 1, Done > 1 ? Done - 1 : null).ToString() : ToString();

    public static LoaderEntry? Parse(string fileName)
    {
        var match = Name.Match(fileName);
        if (!match.Success) return null;
        return new LoaderEntry(match.Groups["id"].Value, Number(match.Groups["left"]), Number(match.Groups["done"]));
    }

    public override string ToString() => Id + (Left is null ? "" : $"+{Left}") + (Done is null ? "" : $"-{Done}") + ".conf";

    private static int? Number(Group group) => group.Success ? int.Parse(group.Value, CultureInfo.InvariantCulture) : null;

    private static readonly Regex Name = new(@"^(?<id>[A-Za-z0-9._-]*[A-Za-z0-9])(\+(?<left>\d{1,4})(-(?<done>\d{1,4}))?)?\.conf$", RegexOptions.ExplicitCapture);

    /// <summary>The number in an entry's <c>sort-key osbuild-NNNN</c>: the smallest is booted first. An entry without one counts as the first of all images.</summary>
    public static int SortOf(string entry) =>
        SortLine.Match(entry) is { Success: true } match ? int.Parse(match.Groups["number"].Value, CultureInfo.InvariantCulture) : FirstSort;

    /// <summary>What a new image's entry has.</summary>
    public const int FirstSort = 9999;

    private static readonly Regex SortLine = new(@"^sort-key\s+osbuild-(?<number>\d{1,6})\s*$", RegexOptions.Multiline | RegexOptions.ExplicitCapture);
}
