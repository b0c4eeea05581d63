using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Bundles;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;

// PID 1 is the small stub (Init); everything else is the worker, a child of it or of another init.
if (Environment.ProcessId == 1) return PidOne.Run();
if (Modprobe.Names(Environment.GetCommandLineArgs()[0], args) is { } modules) return Modprobe.Run(modules);
return args switch
{
    ["--version"] => Version(),
    ["worker", .., "--look"] => await Look.RunAsync(HostPaths.FromEnvironment()),
    ["service"] => await Service.RunAsync(HostPaths.FromEnvironment()),
    ["worker"] => await Worker.RunAsync(HostPaths.FromEnvironment()),
    // Under another init, which does network and time itself.
    ["worker", "--containers-only"] => await Worker.RunAsync(HostPaths.FromEnvironment(), hostDuties: false),
    ["bundle", .. var rest] => await BundleCommand.RunAsync(rest, Console.Out, Console.Error),
    ["poweroff"] => Ask(Libc.SIGUSR2),
    ["reboot"] => Ask(Libc.SIGTERM),
    [var verb, ..] when Cli.Verbs.Contains(verb) => await Cli.RunAsync(args, HostPaths.FromEnvironment(), Console.Out, Console.Error),
    _ => Usage(),
};

// PID 1 is us only when it says so; under another init its own poweroff is the one to use.
static int Ask(int signal)
{
    if (!File.Exists("/run/osbuild/host.json"))
    {
        Console.Error.WriteLine("This host has an init of its own; use its poweroff or reboot.");
        return 1;
    }

    Libc.Kill(1, signal);
    return 0;
}

static int Version()
{
    Console.WriteLine(Reports.Version);
    return 0;
}

static int Usage()
{
    Console.Error.WriteLine(Cli.Usage);
    return 2;
}
