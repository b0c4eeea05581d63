namespace OsBuild.Supervisor.Init;

/// <summary>For processes that nothing may end, and whose tasks may not stop for good.</summary>
internal static class Keep
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>Runs something on a thread of its own until it returns; when it throws, that is told and it is run again, while it is wanted.</summary>
    /// <param name="name">What is said to have failed.</param>
    /// <param name="run">What is run.</param>
    /// <param name="wanted">Asked before each run.</param>
    /// <param name="say">Told what went wrong.</param>
    public static Task AliveAsync(string name, Func<Task> run, Func<bool> wanted, Action<string> say) => Task.Run(async () =>
    {
        while (wanted())
        {
            try
            {
                await run();
                return;
            }
            catch (Exception e)
            {
                say($"{name}: {e}");
                await Task.Delay(Pause);
            }
        }
    });
}
