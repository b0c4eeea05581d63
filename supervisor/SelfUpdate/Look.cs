using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>What a new worker does beside the old one: it reads the state, asks the engine, makes a plan, and says that it is ready when the plan leaves
/// alone what runs. It writes nothing. How long it may take is the stub's to say.</summary>
internal static class Look
{
    private static readonly TimeSpan Again = TimeSpan.FromMilliseconds(500);

    public static async Task<int> RunAsync(HostPaths paths)
    {
        var places = new Places(paths);
        using var journal = Journal.Look(places.StateDirectory);
        if (journal.Unknown > 0)
        {
            Console.WriteLine($"the state has {journal.Unknown} entries of a later version than {Reports.Version}; nothing was changed");
            return 1;
        }

        await using var reconciler = new Reconciler(paths, journal, new History(Path.Combine(paths.Data, "supervisor")), Serilog.Core.Logger.None);
        var said = "";
        while (true)
        {
            var obstacle = await ObstacleAsync(reconciler);
            if (obstacle is null)
            {
                HostEvent.Report(WorkerStub.Ready, Reports.Version);
                return 0;
            }

            if (obstacle != said) Console.WriteLine($"not ready: {said = obstacle}");
            await Task.Delay(Again);
        }
    }

    private static async Task<string?> ObstacleAsync(Reconciler reconciler)
    {
        try
        {
            var current = await reconciler.ObserveAsync(CancellationToken.None);
            if (current.Memory.Target is not { } target) return null;
            return Planner.NextSteps(current, target, reconciler.Now).Find(s => Touches(s, current)) is { } step ? $"it would {step}" : null;
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException)
        {
            return e.Message;
        }
    }

    /// <summary>True for a step that ends or replaces what runs. Pure. What is down already, the old worker would start as well.</summary>
    public static bool Touches(Step step, CurrentState current)
    {
        return step switch
        {
            Step.Stop x => Up(x.ContainerId),
            Step.Remove x => Up(x.ContainerId),
            Step.Rename x => Up(x.ContainerId),
            Step.Repair x => x.Containers.Exists(Up),
            Step.RemoveNetwork => true,
            Step.Create x => current.Containers.Exists(c => c.App == x.Release.App && c.Service == x.Service.Name && c.Up),
            _ => false,
        };

        bool Up(string id) => current.Containers.Exists(c => c.Id == id && c.Up);
    }
}
