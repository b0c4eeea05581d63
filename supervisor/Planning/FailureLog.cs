using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>How the outcomes of steps are counted: what the planner finds in <see cref="CurrentState.Failures"/>.</summary>
internal static class FailureLog
{
    public static void Failed(SortedDictionary<string, Failure> log, Step step, string reason, TimeSpan now) =>
        log[step.Key] = new(log.TryGetValue(step.Key, out var before) && before.Subject == step.Subject ? before.Count + 1 : 1, now, reason, step.Subject);

    public static void Succeeded(SortedDictionary<string, Failure> log, Step step, TimeSpan now)
    {
        if (step is Step.Repair)
        {
            // What the broken copy caused says nothing about the next one, however that one came.
            ForgetDamage(log);
            // Counted, so that an error that only looks like damage does not download the image for ever.
            Failed(log, step, step.Cause, now);
            return;
        }

        if (step is Step.Fetch or Step.Load) ForgetDamage(log);
        log.Remove(step.Key);
    }

    /// <summary>All but the count of repairs, which is what ends them.</summary>
    private static void ForgetDamage(SortedDictionary<string, Failure> log)
    {
        foreach (var key in log.Where(f => StoreDamage.Is(f.Value.Reason) && !f.Key.StartsWith("repair ", StringComparison.Ordinal)).Select(f => f.Key).ToList()) log.Remove(key);
    }
}
