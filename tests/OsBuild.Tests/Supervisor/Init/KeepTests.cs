using OsBuild.Supervisor.Init;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class KeepTests
{
    private readonly List<string> said = [];

    [Fact]
    public async Task What_fails_is_told_and_run_again_until_it_returns()
    {
        var runs = 0;
        await Keep.AliveAsync("the pump", () => ++runs < 2 ? throw new IOException("no water") : Task.CompletedTask, () => true, said.Add);
        Assert.Equal(2, runs);
        Assert.StartsWith("the pump: System.IO.IOException: no water", Assert.Single(said), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_not_wanted_any_more_is_not_run_again()
    {
        var (runs, wanted) = (0, true);
        await Keep.AliveAsync("the pump", () => throw new IOException($"run {++runs}{wanted = false}"), () => wanted, said.Add);
        Assert.Equal((1, 1), (runs, said.Count));
        await Keep.AliveAsync("the pump", () => Task.FromResult(++runs), () => wanted, said.Add);
        Assert.Equal(1, runs);
    }
}
