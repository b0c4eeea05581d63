using System.Runtime.InteropServices;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>The stub under another init: it keeps the worker running and conducts trials, as PID 1 does on a board of our own.</summary>
internal static class Service
{
    private static readonly string[] Arguments = ["worker", "--containers-only"];

    /// <summary>Runs until SIGTERM or SIGINT; then the worker stops the containers in order.</summary>
    public static async Task<int> RunAsync(HostPaths paths)
    {
        var stub = new WorkerStub(paths, WorkerStub.Own(Arguments, controlGroup: ""), Arguments, new TrialBounds(), new StubVoice(Console.WriteLine, (name, detail) => Console.WriteLine($"{name}: {detail}"), Console.WriteLine));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        _ = Keep.AliveAsync("self-update", stub.ConductAsync, () => true, Console.WriteLine);
        await stub.Worker.RunAsync();
        return 0;

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            _ = Task.Run(() => stub.Worker.Stop(Shutdown.WorkerBudget));
        }
    }
}
