using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Running;

// PID 1 is the small stub (Init); everything else is the worker, a child of it or of another init.
return args switch
{
    _ when Environment.ProcessId == 1 => PidOne.Run(args),
    ["worker", ..] => await Worker.RunAsync(HostPaths.FromEnvironment()),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: supervisor worker");
    return 2;
}
