using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>Every update, once without trouble and then again with the worker killed before and after each of its steps, or with each of its steps
/// refused by the engine: the end is the same (scenarios 24, 32, 41 and 42).</summary>
public sealed class StepByStep(ITestOutputHelper output)
{
    private static readonly Behaviour[] Behaviours = Enum.GetValues<Behaviour>();

    public static MatrixTheoryData<string, bool> Updates => new(Enum.GetNames<UpdateStrategy>(), [false, true]);

    /// <summary>An update from a good release to one whose image behaves like this.</summary>
    private sealed record Update(UpdateStrategy Strategy, bool Ports, Behaviour Behaviour)
    {
        public bool Signal => Strategy == UpdateStrategy.HandOver && Behaviour is Behaviour.NeverSignals or Behaviour.Good;
        public TargetState Before => Given.Target(Given.By(Strategy, "a:1", Ports, Signal), Given.Service("b", "b:1"));
        public TargetState After => Given.Target(Given.By(Strategy, "a:2", Ports, Signal), Given.Service("b", "b:1", s => s with { DependsOn = [new("a", DependencyCondition.Started)] }));
    }

    [Theory]
    [MemberData(nameof(Updates))]
    public void S24_32_41_Killed_before_or_after_any_step_the_end_is_the_same(string strategy, bool ports)
    {
        var kills = 0;
        foreach (var behaviour in Behaviours)
        {
            var update = new Update(Enum.Parse<UpdateStrategy>(strategy), ports, behaviour);
            var (expected, first, last) = Undisturbed(update);
            for (var step = first + 1; step <= last; step++)
                foreach (var before in (bool[])[true, false])
                {
                    var given = Started(update);
                    given.World.DieAt = (step, before);
                    var target = update.After;
                    Assert.Throws<WorkerKilled>(() => given.Settle(target));
                    given.World.RestartWorker();
                    given.World.DieAt = null;
                    given.Settle(target);
                    Assert.True(expected == End(given), $"{update} killed {(before ? "before" : "after")} step {step}: {End(given)}\ninstead of {expected}\n{string.Join('\n', given.World.Trace.TakeLast(40))}");
                    kills++;
                }
        }

        output.WriteLine($"{strategy}{(ports ? " with ports" : "")}: {kills} kills, {Behaviours.Length} kinds of release");
    }

    [Theory]
    [MemberData(nameof(Updates))]
    public void S42_With_any_one_step_refused_the_end_is_the_same(string strategy, bool ports)
    {
        foreach (var behaviour in Behaviours)
        {
            var update = new Update(Enum.Parse<UpdateStrategy>(strategy), ports, behaviour);
            var (expected, first, last) = Undisturbed(update);
            for (var step = first + 1; step <= last; step++)
            {
                var given = Started(update);
                given.World.FailAt = step;
                given.Settle(update.After);
                Assert.True(expected == End(given), $"{update} refused at step {step}: {End(given)}\ninstead of {expected}\n{string.Join('\n', given.World.Trace.TakeLast(40))}");
            }
        }
    }

    [Fact]
    public void S41_45_Killed_after_every_other_step_it_still_gets_there()
    {
        foreach (var strategy in Enum.GetValues<UpdateStrategy>())
        {
            var update = new Update(strategy, Ports: false, Behaviour.Good);
            var (expected, _, _) = Undisturbed(update);
            var given = Started(update);
            var target = update.After;
            for (var deaths = 0; deaths < 200; deaths++)
            {
                // Every other, because an answer of the registry is not remembered and is asked for again.
                given.World.DieAt = (given.World.Performed + 2, false);
                try
                {
                    given.Settle(target, rounds: 60);
                    break;
                }
                catch (WorkerKilled)
                {
                    given.World.RestartWorker();
                }
            }

            Assert.True(expected == End(given), $"{strategy}: {End(given)}\ninstead of {expected}\n{string.Join('\n', given.World.Trace.TakeLast(60))}");
        }
    }

    private static Given Started(Update update)
    {
        var given = new Given(new World(new Random(1)) { Skips = 0 });
        given.Images("a:1", "b:1");
        given.Image("a:2", update.Behaviour);
        given.Settle(update.Before);
        Assert.Equal("sha256:a:1", given.The("a").ImageId);
        return given;
    }

    private static (string End, int First, int Last) Undisturbed(Update update)
    {
        var given = Started(update);
        var first = given.World.Performed;
        given.Settle(update.After);
        Assert.True(given.World.Performed > first);
        return (End(given), first, given.World.Performed);
    }

    /// <summary>All that counts at the end: what runs from which image, where ports lead, what is remembered, what is left over.</summary>
    private static string End(Given given)
    {
        var world = given.World;
        var containers = world.Containers.OrderBy(c => c.Service, StringComparer.Ordinal).Select(c => $"{c.Name} {c.ImageId} {c.Status} {c.Hash}");
        var relays = world.Relays.Select(r => $"{r.Key}→{world.Containers.Find(c => c.Id == r.Value.ContainerId)?.ImageId}");
        return $"{string.Join(", ", containers)}; {string.Join(", ", relays)}; images {string.Join(' ', world.Present.Order(StringComparer.Ordinal))}; bad {world.Memory.Bad.Count}; good {world.Memory.Good["app"].Fingerprint()}; {world.Networks.Count} networks, {world.Volumes.Count} volumes";
    }
}
