using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>What it comes to when a person asks for the release before. Pure.</summary>
internal static class GoingBack
{
    /// <summary>A release on trial gives way to the last good one; the last good one gives way to the one before it, if its images are still here.</summary>
    /// <param name="memory">What is remembered.</param>
    /// <param name="seen">What the engine has; null before it answered.</param>
    /// <param name="release">The release that is the target.</param>
    /// <param name="by">Who asks.</param>
    /// <returns>What is to be remembered and what happens then, or null and why nothing does.</returns>
    public static (JournalEntry? Entry, string Text) Decide(Memory memory, CurrentState? seen, Release release, string by)
    {
        var app = release.App;
        if (!memory.Good.TryGetValue(app, out var good)) return (null, $"no release of {app} was good before this one");
        if (seen is null) return (null, "the engine has not answered yet; ask again when it has");
        var bad = new BadRelease(app, release.Fingerprint(), [], by, release.Commit);
        if (good.Fingerprint() != release.Fingerprint())
            return AppPlan.IsBad(seen, release)
                ? (null, $"{app} is back at its last good release already; apply an older compose file to go further back")
                : (new JournalEntry.ReleaseBad(bad), $"take the release of {app} as bad and go back to the last good one");
        if (!memory.Before.TryGetValue(app, out var before)) return (null, $"this release of {app} has proved itself, and no other one is remembered; apply an older compose file to go back");
        var gone = before.Services.Values.Where(s => s.Running && (before.ImageIds?.GetValueOrDefault(s.Name) is not { } id || !seen.Images.Exists(i => i.Id == id))).Select(s => s.Image).Distinct().ToList();
        return gone.Count > 0
            ? (null, $"the release of {app} before this one needs {string.Join(" and ", gone)}, which this device does not have any more; apply an older compose file to go back")
            : (new JournalEntry.GoneBack(bad), $"take the good release of {app} as bad and go back to the one before it");
    }
}
