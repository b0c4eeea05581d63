using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>How the outcomes of steps are counted: what the planner finds in <see cref="CurrentState.Failures"/>.</summary>
internal static class FailureLog
{
    /// <summary>Where it stands how often, and when last, the image of a reference was removed for damage.</summary>
    public static string Repaired(string reference) => "repaired " + reference;

    public static void Failed(SortedDictionary<string, Failure> log, Step step, string reason, TimeSpan now) => Count(log, step.Key, step.Subject, reason, now);

    public static void Succeeded(SortedDictionary<string, Failure> log, Step step, TimeSpan now)
    {
        // What the broken copy caused says nothing about the next one, however that one came.
        if (step is Step.Repair or Step.Fetch or Step.Load) ForgetDamage(log);
        // Counted apart from repairs that were refused, so that an error that only looks like damage does not download the image for ever.
        if (step is Step.Repair repair) Count(log, Repaired(repair.Reference), repair.Subject, repair.Cause, now);
        log.Remove(step.Key);
    }

    /// <summary>All but the count of repairs, which is what ends them.</summary>
    private static void ForgetDamage(SortedDictionary<string, Failure> log)
    {
        foreach (var key in log.Where(f => StoreDamage.Is(f.Value.Reason) && !f.Key.StartsWith(Repaired(""), StringComparison.Ordinal)).Select(f => f.Key).ToList()) log.Remove(key);
    }

    private static void Count(SortedDictionary<string, Failure> log, string key, string subject, string reason, TimeSpan now) =>
        log[key] = new(log.TryGetValue(key, out var before) && before.Subject == subject ? before.Count + 1 : 1, now, reason, subject);
}
