using Docker.DotNet.Models;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Running;

/// <summary>Runs the commands that a service wants inside its container: <c>post_start</c> and <c>pre_stop</c> of its compose file. They are read from
/// the container's own label, so that they belong to the container that runs, whatever the target says by now.</summary>
internal sealed class Hooks(EngineClient engine)
{
    private static readonly TimeSpan DefaultGrace = TimeSpan.FromSeconds(10);

    /// <summary>After a start. A container whose hook fails is stopped again: it is not what its service promises.</summary>
    /// <exception cref="EngineRefusedException">A hook failed.</exception>
    public async Task AfterStartAsync(ContainerInspectResponse container, CancellationToken stop)
    {
        foreach (var hook in SpecHash.Read(EngineLabels.SpecOf(container.Config?.Labels))?.PostStart ?? [])
        {
            if (await FailureAsync(container.ID, hook, HookSpec.StartLimit, stop) is not { } failure) continue;
            await engine.StopAsync(container.ID, DefaultGrace, stop);
            throw new EngineRefusedException(null, $"its post_start hook '{hook}' {failure}");
        }
    }

    /// <summary>Before a stop, all of them within the grace. One that fails does not keep the container from being stopped.</summary>
    public async Task BeforeStopAsync(string id, TimeSpan? grace, CancellationToken stop)
    {
        if (await engine.InspectAsync(id, stop) is not { State.Running: true, State.Paused: false } container) return;
        if (SpecHash.Read(EngineLabels.SpecOf(container.Config?.Labels))?.PreStop is not { } hooks) return;
        var end = DateTime.UtcNow + (grace ?? DefaultGrace);
        foreach (var hook in hooks)
            if (end - DateTime.UtcNow is { Ticks: > 0 } left) await FailureAsync(id, hook, left, stop);
    }

    /// <summary>What went wrong with a hook, or null.</summary>
    private async Task<string?> FailureAsync(string id, HookSpec hook, TimeSpan limit, CancellationToken stop)
    {
        try
        {
            var (code, said) = await engine.ExecAsync(id, hook, limit, stop);
            return code == 0 ? null : $"ended with code {code}{(said.Length == 0 ? "" : $": {said}")}";
        }
        catch (EngineRefusedException e)
        {
            return $"cannot be run: {e.Message}";
        }
        catch (EngineUnreachableException) when (!stop.IsCancellationRequested)
        {
            return $"did not end within {limit.TotalSeconds:0} s";
        }
    }
}
