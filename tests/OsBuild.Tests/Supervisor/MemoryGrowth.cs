using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>What is measured for the whole process is measured while nothing else runs in it.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
public sealed class Alone;

/// <summary>A hundred days of rounds in one go: planner, tracker, memory, journal and history, with an update each thousand rounds, a bad one among ten.</summary>
[Collection("alone")]
public sealed class MemoryGrowth(ITestOutputHelper output)
{
    private const long MiB = 1 << 20;

    [Fact]
    public void A_million_rounds_grow_by_less_than_a_mebibyte()
    {
        var rounds = 20_000 * (int.TryParse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ"), out var factor) ? Math.Min(factor, 50) : 1);
        var directory = Directory.CreateTempSubdirectory("osb-rounds").FullName;
        try
        {
            using var journal = Journal.Open(directory);
            var life = new Life(journal, History.Open(directory));
            // What is bounded fills up first: ten thousand entries of history, thirty-two bad releases.
            life.Live(rounds / 2);
            var before = GC.GetTotalMemory(forceFullCollection: true);
            life.Live(rounds);
            var grown = GC.GetTotalMemory(forceFullCollection: true) - before;
            output.WriteLine($"{rounds} rounds, {life.Updates} updates: grown by {grown / 1024} KiB; {new DirectoryInfo(directory).GetFiles().Sum(f => f.Length) / 1024} KiB on disk");
            Assert.InRange(grown, long.MinValue, MiB);
            Assert.InRange(new DirectoryInfo(directory).GetFiles().Sum(f => f.Length), 1, 4 * MiB);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private sealed class Life(Journal journal, History history)
    {
        private readonly World world = new(new Random(3));
        private readonly Tracker tracker = new();
        private TargetState target = TargetState.Nothing;
        private int round;

        public int Updates { get; private set; }

        public void Live(int rounds)
        {
            for (var end = round + rounds; round < end; round++)
            {
                if (round % 1000 == 0) Update();
                var plan = world.Round(target);
                tracker.Observe(world.Containers, world.Now);
                foreach (var step in plan)
                {
                    if (step is Step.Wait) continue;
                    history.Add(DateTimeOffset.UnixEpoch + world.Now, step, "done", null);
                    if (step is Step.MarkGood good) journal.Append(new JournalEntry.ReleaseGood(good.Release), durable: false);
                    if (step is Step.MarkBad bad) journal.Append(new JournalEntry.ReleaseBad(bad.Bad), durable: false);
                    if (step is Step.RemoveImage gone) journal.Append(new JournalEntry.ImageGone(gone.Id), durable: false);
                }
            }
        }

        private void Update()
        {
            var reference = $"docker.io/library/a:{Updates}";
            world.Registry.Remove($"docker.io/library/a:{Updates - 20}");
            world.Registry[reference] = $"sha256:{Updates}";
            world.Behave($"sha256:{Updates}", Updates % 10 == 9 ? Behaviour.Exits : Behaviour.Good);
            world.Behave($"sha256:{Updates - 20}", null);
            world.Trace.Clear();
            target = Given.Target([.. Enumerable.Range(0, 4).Select(i => Given.Service($"s{i}", reference))]);
            journal.Append(new JournalEntry.TargetAccepted(target), durable: false);
            journal.Append(new JournalEntry.ImageUsed($"sha256:{Updates}", reference), durable: false);
            Updates++;
        }
    }
}
