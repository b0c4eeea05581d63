using System.Diagnostics;
using System.Text.Json.Serialization;

namespace OsBuild.Supervisor.State;

/// <summary>What the supervisor remembers over restarts. A fold over journal entries; everything else is read from the engine.</summary>
internal sealed record Memory
{
    private const int MaxBad = 32;
    private const int MaxImages = 256;

    /// <summary>The last target that was accepted; null before the first.</summary>
    public TargetState? Target { get; init; }

    /// <summary>Per app the last release that proved itself, with its exact images.</summary>
    public SortedDictionary<string, Release> Good { get; init; } = [];

    /// <summary>Per app the release that was the last good one before <see cref="Good"/>: where a person can still go back to.</summary>
    public SortedDictionary<string, Release> Before { get; init; } = [];
    public List<BadRelease> Bad { get; init; } = [];

    /// <summary>Images that belong to us (id to reference): only these are ever collected.</summary>
    public SortedDictionary<string, string> Images { get; init; } = [];

    /// <summary>Services a person stopped (<c>app/service</c>); they stay stopped until started again.</summary>
    public SortedSet<string> Stopped { get; init; } = [];

    public Memory Apply(JournalEntry entry) => entry switch
    {
        JournalEntry.TargetAccepted e => this with { Target = e.Target },
        JournalEntry.ReleaseGood e => Prove(e.Release),
        JournalEntry.ReleaseBad e => this with { Bad = Distrust(e.Bad) },
        JournalEntry.GoneBack e => GoBack(e.Bad),
        JournalEntry.BadForgotten e => this with { Bad = [.. Bad.Where(b => b.App != e.App)] },
        JournalEntry.ImageUsed e => this with { Images = Remember(e) },
        JournalEntry.ImageGone e => this with { Images = new(Images.Where(i => i.Key != e.Id).ToDictionary()) },
        JournalEntry.ServiceHeld e => this with { Stopped = Hold(e) },
        JournalEntry.Intent => this,
        _ => throw new UnreachableException(),
    };

    private Memory Prove(Release release)
    {
        var next = this with { Good = new(Good) { [release.App] = release } };
        return Good.TryGetValue(release.App, out var last) && last.Fingerprint() != release.Fingerprint() ? next with { Before = new(Before) { [release.App] = last } } : next;
    }

    /// <summary>What was good is bad now, and what was good before it is good again.</summary>
    private Memory GoBack(BadRelease bad)
    {
        if (!Before.TryGetValue(bad.App, out var before)) return this with { Bad = Distrust(bad) };
        var left = new SortedDictionary<string, Release>(Before);
        left.Remove(bad.App);
        return this with { Good = new(Good) { [bad.App] = before }, Before = left, Bad = Distrust(bad) };
    }

    private List<BadRelease> Distrust(BadRelease bad) => [.. Bad.Where(b => !b.Same(bad)).TakeLast(MaxBad - 1), bad];

    private SortedDictionary<string, string> Remember(JournalEntry.ImageUsed used)
    {
        var images = new SortedDictionary<string, string>(Images) { [used.Id] = used.Reference };
        while (images.Count > MaxImages) images.Remove(images.Keys.First(k => k != used.Id));
        return images;
    }

    private SortedSet<string> Hold(JournalEntry.ServiceHeld held)
    {
        var stopped = new SortedSet<string>(Stopped);
        if (held.Stopped) stopped.Add(held.Key);
        else stopped.Remove(held.Key);
        return stopped;
    }
}

/// <summary>A release that failed and is not tried again until the target changes or one of its references means another image.</summary>
internal sealed record BadRelease(string App, string Fingerprint, SortedDictionary<string, string> ImageIds, string Reason, string Commit)
{
    public bool Same(BadRelease other) => App == other.App && Fingerprint == other.Fingerprint && ImageIds.SequenceEqual(other.ImageIds);
}

/// <summary>One change of what is remembered, or one irreversible act about to be done, as it is appended to the journal.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "is")]
[JsonDerivedType(typeof(TargetAccepted), "target")]
[JsonDerivedType(typeof(ReleaseGood), "good")]
[JsonDerivedType(typeof(ReleaseBad), "bad")]
[JsonDerivedType(typeof(GoneBack), "back")]
[JsonDerivedType(typeof(BadForgotten), "forgotten")]
[JsonDerivedType(typeof(ImageUsed), "image")]
[JsonDerivedType(typeof(ImageGone), "image-gone")]
[JsonDerivedType(typeof(ServiceHeld), "held")]
[JsonDerivedType(typeof(Intent), "intent")]
internal abstract record JournalEntry
{
    private JournalEntry() { }

    public sealed record TargetAccepted(TargetState Target) : JournalEntry;
    public sealed record ReleaseGood(Release Release) : JournalEntry;
    public sealed record ReleaseBad(BadRelease Bad) : JournalEntry;
    public sealed record GoneBack(BadRelease Bad) : JournalEntry;
    public sealed record BadForgotten(string App) : JournalEntry;
    public sealed record ImageUsed(string Id, string Reference) : JournalEntry;
    public sealed record ImageGone(string Id) : JournalEntry;
    public sealed record ServiceHeld(string Key, bool Stopped) : JournalEntry;
    public sealed record Intent(string Step, string Cause) : JournalEntry;
}
