using OsBuild.Supervisor.Identity;

namespace OsBuild.Supervisor.Init;

/// <summary>Remembers on the state partition that the board was left to its watchdog, so that a fault no reset cures does not reset it for ever.</summary>
internal sealed class ResetRecord(string state)
{
    /// <summary>How long a worker must make progress before another reset may be tried.</summary>
    private const long GoodAfter = 10 * 60_000;

    private readonly string _path = Path.Combine(state, "watchdog-reset");
    private long _goodSince = -1;

    /// <summary>True when the board was not reset in this way since the worker last did well.</summary>
    public bool MayReset => !File.Exists(_path);

    /// <summary>Called just before the watchdog is left unfed.</summary>
    public void Resetting()
    {
        if (MayReset) DurableFile.Write(_path, "the worker made no progress\n");
    }

    /// <summary>Called each time the worker has been seen to make progress.</summary>
    public void Progress(long now)
    {
        if (_goodSince < 0) _goodSince = now;
        if (now - _goodSince >= GoodAfter) File.Delete(_path);
    }

    /// <summary>Called when the worker had to be restarted.</summary>
    public void Setback() => _goodSince = -1;
}
