using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Metrics;

/// <summary>Looks at the board's sensors again and again and tells what is wrong.</summary>
/// <param name="reconciler">Whose status has the warnings.</param>
/// <param name="sys">Where sysfs is mounted.</param>
internal sealed class BoardWatch(Reconciler reconciler, string sys = "/sys")
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>What the sensors said at the last look; nothing before the first.</summary>
    public BoardSample Last { get; private set; } = new([], null);

    /// <summary>What was wrong lately.</summary>
    public BoardWarnings Now { get; private set; } = new();

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval);
        do Look();
        while (await timer.WaitForNextTickAsync(stop));
    }

    /// <summary>One look at the sensors.</summary>
    public void Look()
    {
        Last = BoardSensors.Read(sys);
        Now = Now.After(Last, reconciler.Now);
        reconciler.Report("power", Now.Power);
        reconciler.Report("temperature", Now.Heat);
    }
}
