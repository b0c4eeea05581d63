using System.Reflection;
using System.Runtime.InteropServices;
using OsBuild.ImageBuilder.Commands;

namespace OsBuild.ImageBuilder;

/// <summary>Arguments in, an exit code out (0 done, 1 failed, 2 refused before anything was written). The commands are in <see cref="CommandTree"/>.</summary>
internal static class Program
{
    public static int Main(string[] arguments)
    {
        using var cancel = new CancellationTokenSource();
        void Stop(PosixSignalContext signal)
        {
            // The second signal kills as usual, should a job not stop.
            signal.Cancel = !cancel.IsCancellationRequested;
            cancel.Cancel();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        var version = typeof(Program).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";
        using var output = Console.OpenStandardOutput();
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var tree = new CommandTree(version, output, Console.Out, Console.Error, !Console.IsErrorRedirected, now, cancel.Token);
        return tree.Run(arguments);
    }
}
