namespace OsBuild.Supervisor.Init;

/// <summary>The process with id 1: performs the boot table, keeps the engine and the worker alive, shuts down.</summary>
internal static class PidOne
{
    public static int Run(string[] args) => throw new NotImplementedException(args.Length.ToString());
}
