using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>From what is and what should be to the next steps. Pure and level-based: it is asked again after every step, sees everything
/// that matters in its arguments and never the event that woke it.</summary>
internal static class Planner
{
    /// <summary>The steps that can be done now, in order; none when nothing is left to do.</summary>
    /// <param name="current">What the engine and the host have, and what is remembered.</param>
    /// <param name="target">What should run.</param>
    /// <param name="now">The monotonic clock that <paramref name="current"/> was read at.</param>
    public static List<Step> NextSteps(CurrentState current, TargetState target, TimeSpan now)
    {
        var steps = new List<Step>();
        foreach (var release in target.Apps) new AppPlan(current, release, now, steps).Plan();
        foreach (var app in current.Containers.Select(c => c.App).Concat(current.Networks.Select(n => n.App)).Distinct().Order().ToList())
            if (target.Find(app) is null) RemoveApp(current, app, steps);
        foreach (var key in current.Relays.Keys)
            if (!target.Apps.Exists(a => key.StartsWith(a.App + "/", StringComparison.Ordinal)) && !current.Containers.Exists(c => c.Key == key && c.Up))
                steps.Add(new Step.Withdraw(key, "the service is no longer part of the target"));
        Collection.Plan(current, target, steps);
        // What is mended for one service is not started for another in the same round: it would be taken away under a container that runs.
        var mended = steps.OfType<Step.Repair>().SelectMany(r => r.Containers).ToHashSet(StringComparer.Ordinal);
        if (mended.Count > 0) steps.RemoveAll(s => s is Step.Start start && mended.Contains(start.ContainerId));
        return steps;
    }

    /// <summary>True when every service that should run has a container that was started since the device was switched on. Says nothing about how well it does.</summary>
    public static bool AllStarted(CurrentState current, TargetState target) => target.Apps.TrueForAll(app =>
        app.Services.Values.Where(s => s.Running).All(s => current.Containers.Exists(c => c.App == app.App && c.Service == s.Name && (c.Up || c.StartedThisBoot))));

    /// <summary>Stops what runs in reverse order of dependency, each step in its own time; for a wanted shutdown.</summary>
    public static List<Step> Shutdown(CurrentState current, TargetState? target)
    {
        var running = current.Containers.Where(c => c.Up).ToList();
        var steps = new List<Step>();
        foreach (var container in running)
        {
            if (running.Exists(other => other.App == container.App && other.Service != container.Service && other.DependsOn.Contains(container.Service))) continue;
            var grace = target?.Find(container.App)?.Services.GetValueOrDefault(container.Service)?.StopGrace;
            steps.Add(new Step.Stop(container.Id, container.Name, grace, "the device is shutting down"));
        }

        // A circle cannot come from a checked target, but a container's labels may say anything.
        return steps.Count == 0 ? [.. running.Select(c => new Step.Stop(c.Id, c.Name, null, "the device is shutting down"))] : steps;
    }

    private static void RemoveApp(CurrentState current, string app, List<Step> steps)
    {
        const string cause = "the app is no longer part of the target";
        var containers = current.Containers.Where(c => c.App == app).ToList();
        var running = containers.Where(c => c.Up).ToList();
        if (Locks.Hold(current, app) is { } held && running.Count > 0)
        {
            steps.Add(Step.Wait.ForLock(held, cause));
            return;
        }

        var leaves = running.Where(c => !running.Exists(o => o.Service != c.Service && o.DependsOn.Contains(c.Service))).ToList();
        steps.AddRange((leaves.Count == 0 ? running : leaves).Select(c => new Step.Stop(c.Id, c.Name, null, cause)));
        steps.AddRange(containers.Where(c => !c.Up && c.Status != ContainerStatus.Removing).Select(c => new Step.Remove(c.Id, c.Name, cause)));
        if (containers.Count > 0) return;
        steps.AddRange(current.Networks.Where(n => n.App == app).Select(n => new Step.RemoveNetwork(n.Id, n.Name, cause)));
    }
}

/// <summary>Update locks: an app that holds one is in the middle of something that must not be interrupted.</summary>
internal static class Locks
{
    /// <summary>The running service of the app that holds a lock, or null. A lock of something that no longer runs holds nobody.</summary>
    public static string? Hold(CurrentState current, string app) => current.ForceLocks ? null
        : current.Locked.FirstOrDefault(key => key.StartsWith(app + "/", StringComparison.Ordinal) && current.Containers.Exists(c => c.Key == key && c.Up));
}
