using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>Random targets one after another on a simulated device: whatever changes, fails or dies on the way, the laws hold and the end is reached.</summary>
public sealed class PlannerFuzz
{
    private static readonly string[] Names = ["a", "b", "c"];

    /// <summary>Twenty pairs each; OSBUILD_FUZZ=500 makes a million pairs, and OSBUILD_FUZZ_SEED says where to begin, so that it can be had in pieces.</summary>
    private static int Worlds => 100 * Number("OSBUILD_FUZZ", 1);

    private static int Number(string variable, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(variable), out var number) ? number : otherwise;

    [Fact]
    public void Every_pair_converges_and_no_law_is_broken()
    {
        var (pairs, first) = (0, Number("OSBUILD_FUZZ_SEED", 0));
        var clock = System.Diagnostics.Stopwatch.StartNew();
        Parallel.For(first, first + Worlds, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, seed =>
        {
            try
            {
                Interlocked.Add(ref pairs, Run(new World(new Random(seed)) { Tracing = false }, new Random(seed * 7919 + 1)));
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}\n{Trace(seed)}", e);
            }
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"{pairs} pairs of current and target state, seeds {first} to {first + Worlds - 1}, {clock.Elapsed.TotalSeconds:0} s");
        Assert.True(pairs >= Worlds * 10);
    }

    /// <summary>The last steps of a world that failed: it is lived once more.</summary>
    private static string Trace(int seed)
    {
        var world = new World(new Random(seed));
        try
        {
            Run(world, new Random(seed * 7919 + 1));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return string.Join('\n', world.Trace.TakeLast(60));
        }

        return "the second time it did not fail";
    }

    private static int Run(World world, Random random)
    {
        for (var image = 0; image < 3; image++)
            for (var version = 0; version < 3; version++)
            {
                var id = $"sha256:{image}{version}";
                world.Registry[$"docker.io/library/i{image}:{version}"] = id;
                world.Behave(id, random.Next(3) == 0 ? (Behaviour)random.Next(6) : Behaviour.Good);
            }

        var pairs = 0;
        for (var i = 0; i < 20; i++, pairs++)
        {
            var target = Target(random);
            world.Trace.Clear();
            if (world.Tracing) world.Trace.Add($"target {string.Join("; ", target.Apps[0].Services.Values.Select(s => $"{s.Name} {s.Image} {s.Update.Strategy} signal={s.Update.Signal} health={s.Container.Healthcheck is not null} ports={s.Container.Ports is not null} after {string.Join(',', s.DependsOn.Select(d => d.Service))} {world.Of(world.Registry[ImageReference.Normalize(s.Image)])}"))}");
            world.Faults = random.Next(3) == 0 ? 0.2 : 0;
            world.RegistryAway = random.Next(6) == 0;
            world.Locked = random.Next(8) == 0;
            world.DownloadsFail = random.Next(10) == 0;
            if (random.Next(3) == 0) world.MissingDevices.Add("/dev/stick");
            else world.MissingDevices.Clear();
            world.Disk = random.Next(6) switch { 0 => new(50L << 20, 10L << 30), 1 => new(1L << 20, 10L << 30), _ => DiskState.Ample };
            if (random.Next(10) == 0 && world.Present.Count > 0) world.Torn.Add(world.Present.ElementAt(random.Next(world.Present.Count)));
            var volumes = world.Volumes.Count;
            // Some rounds of trouble; now and then the next target comes in the middle.
            for (var round = random.Next(40); round > 0; round--)
            {
                world.Round(target, (current, plan) => Check(world, current, target, plan));
                if (random.Next(20) == 0) world.RestartWorker();
                if (random.Next(30) == 0 && world.Containers.Count > 0) world.Containers.RemoveAt(random.Next(world.Containers.Count));
            }

            Assert.True(world.Volumes.Count >= volumes, "a volume was removed");
            if (random.Next(4) == 0) continue;
            world.MissingDevices.Clear();
            (world.Faults, world.RegistryAway, world.Locked, world.DownloadsFail, world.Disk) = (0, false, false, false, DiskState.Ample);
            Settle(world, target);
        }

        return pairs;
    }

    private static void Settle(World world, TargetState target)
    {
        var release = target.Apps[0];
        var bad = release.Services.Values.Any(s => IsBad(world, s));
        var good = world.Memory.Good.GetValueOrDefault(release.App);
        var quiet = 0;
        for (var round = 0; round < 600; round++)
        {
            // A torn copy under a container that runs cannot be mended before that one ends; that is a law, not a way to an end.
            world.Mended.UnionWith(world.Torn.Where(id => world.Containers.Exists(c => c.ImageId == id && c.Up)));
            world.Torn.RemoveWhere(id => world.Containers.Exists(c => c.ImageId == id && c.Up));
            var plan = world.Round(target, (current, p) => Check(world, current, target, p));
            // A release that fails with nothing to go back to is tried for ever; so is a good one whose image went bad under it.
            if (bad && (good is null || good.Services.Values.Any(s => IsBad(world, s)))) return;
            quiet = plan.Count == 0 || plan.TrueForAll(s => s is Step.Wait { Until: null }) ? quiet + 1 : 0;
            if (quiet < 3) continue;
            var effective = AppPlan.IsBad(world.Observe(), release) && world.Memory.Good.TryGetValue(release.App, out var last) ? last : release;
            Assert.True(!bad || effective != release || good is null || good.Fingerprint() == release.Fingerprint() || release.Services.Values.All(s => !IsFatal(world, s)), "a bad release stayed");
            foreach (var service in effective.Services.Values)
                Assert.Contains(world.Containers, c => c.Service == service.Name && c.Up && c.Hash == service.Hash() && c.Health != Health.Starting);
            foreach (var service in effective.Services.Values)
                if (Namespaces.Owner(service.Container.NetworkMode) is { } owner)
                    Assert.Equal([world.Containers.Single(c => c.Service == owner && c.Up && c.Hash == effective.Services[owner].Hash()).Id], world.Containers.Single(c => c.Service == service.Name && c.Up && c.Hash == service.Hash()).SharesWith);
            if (plan.Count == 0) Assert.Equal(effective.Services.Count, world.Containers.Count);
            return;
        }

        Assert.Fail($"no end: {string.Join("; ", Planner.NextSteps(world.Observe(), target, world.Now))}");
    }

    /// <summary>The image cannot serve this service.</summary>
    private static bool IsBad(World world, Service service) => world.Of(world.Registry[ImageReference.Normalize(service.Image)]) switch
    {
        Behaviour.Good => false,
        Behaviour.Unhealthy => service.Container.Healthcheck is not null,
        Behaviour.NeverSignals => service.Update is { Signal: true, Strategy: UpdateStrategy.HandOver },
        _ => true,
    };

    private static bool IsFatal(World world, Service service) => IsBad(world, service) && world.Of(world.Registry[ImageReference.Normalize(service.Image)]) != Behaviour.NeverSignals;

    private static void Check(World world, CurrentState current, TargetState target, List<Step> plan)
    {
        var release = target.Apps[0];
        var good = world.Memory.Good.GetValueOrDefault(release.App);
        foreach (var step in plan)
            switch (step)
            {
                case Step.RemoveImage s:
                    var wanted = release.Services.Values.FirstOrDefault(x => good?.ImageIds?.GetValueOrDefault(x.Name) == s.Id);
                    Assert.True(good?.ImageIds?.ContainsValue(s.Id) != true || wanted?.Update.Strategy == UpdateStrategy.DeleteThenDownload, $"the last good image goes: {s}");
                    break;
                case Step.Stop s:
                    CheckStop(current, release, good, s);
                    break;
                case Step.Repair s:
                    Assert.True(world.Torn.Contains(s.ImageId) || world.Mended.Contains(s.ImageId), $"{s.ImageId} is whole: {s}");
                    break;
            }

        Assert.False(world.Locked && plan.Exists(s => s is Step.Stop && current.Containers.Find(c => s.Key.EndsWith(c.Id, StringComparison.Ordinal)) is { Health: not Health.Unhealthy } c && !Twice(current, c) && !AppPlan.IsBad(current, release)), "a locked app is stopped");
    }

    private static bool Twice(CurrentState current, ContainerState c) => current.Containers.Count(o => o.Key == c.Key && o.Hash == c.Hash && o.ImageId == c.ImageId) > 1;

    /// <summary>It is in the network of a container that ended, or that was started after it: it reaches nobody.</summary>
    private static bool IsCutOff(CurrentState current, ContainerState c) => c.SharesWith.Exists(id => current.Containers.Find(o => o.Id == id) is not { Up: true } owner || owner.RunningFor < c.RunningFor);

    /// <summary>What serves well is stopped only when its strategy allows it: its successor is there, or even ready.</summary>
    private static void CheckStop(CurrentState current, Release release, Release? good, Step.Stop stop)
    {
        var c = current.Containers.Single(x => x.Id == stop.ContainerId);
        var isGood = good?.Services.GetValueOrDefault(c.Service)?.Hash() == c.Hash && good.ImageIds?.GetValueOrDefault(c.Service) == c.ImageId;
        if (!isGood || c.Health == Health.Unhealthy || Twice(current, c) || IsCutOff(current, c)) return;
        // One that runs already, and whose device was pulled out since, is there all the same.
        Assert.False(release.Services.GetValueOrDefault(c.Service) is { } wanted && wanted.Hash() != c.Hash && wanted.Container.Devices?.Exists(d => current.MissingDevices.Contains(d.Host)) == true
            && !current.Containers.Exists(x => x.Service == c.Service && x.Hash == wanted.Hash() && x.Up), $"the device of its successor is not there: {stop}");
        Assert.False(AppPlan.IsBad(current, release), $"the release is bad, and yet {stop}");
        if (!release.Services.TryGetValue(c.Service, out var next))
        {
            Assert.All(release.Services.Values, s => Assert.True(current.Image(s.Image) is not null || current.Containers.Exists(x => x.Service == s.Name && x.Hash == s.Hash())));
            return;
        }

        var image = current.Image(next.Image)?.Id;
        var successors = current.Containers.Where(x => x.Service == c.Service && x.Hash == next.Hash() && (image is null || x.ImageId == image)).ToList();
        switch (next.Update.Strategy)
        {
            case UpdateStrategy.HandOver:
                Assert.True(successors.Exists(x => x.Up && x.Health is Health.None or Health.Healthy && (!next.Update.Signal || x.Signalled)), $"no successor is ready: {stop}");
                break;
            case UpdateStrategy.DownloadThenKill:
                Assert.True(successors.Count > 0, $"no successor is there: {stop}");
                break;
            default:
                Assert.True(successors.Count > 0 || current.Image(next.Image) is not null || current.Probed.Contains(ImageReference.Normalize(next.Image)), $"nobody asked whether the successor can be had: {stop}");
                break;
        }
    }

    private static TargetState Target(Random random)
    {
        var release = new Release { App = "app", Commit = $"{random.Next(1000)}" };
        release.Networks["default"] = new();
        if (random.Next(2) == 0) release.Volumes["v"] = new();
        foreach (var name in Names)
        {
            if (random.Next(4) == 0 && name != "a") continue;
            var strategy = (UpdateStrategy)random.Next(4);
            var owner = name != "a" && random.Next(4) == 0 ? release.Services.Keys.ElementAt(random.Next(release.Services.Count)) : null;
            if (owner is not null && release.Services[owner].Update.Strategy == UpdateStrategy.HandOver) strategy = UpdateStrategy.HandOver;
            var ports = owner is null && random.Next(3) == 0;
            release.Services[name] = new Service
            {
                Name = name,
                Image = $"i{random.Next(3)}:{random.Next(3)}",
                Restart = RestartPolicy.Always,
                DependsOn = [.. release.Services.Keys.Where(d => random.Next(3) == 0 || d == owner).Select(d => new Dependency(d, DependencyCondition.Started))],
                Update = new() { Strategy = strategy, Signal = random.Next(2) == 0, ProvingTime = TimeSpan.FromSeconds(random.Next(1, 120)) },
                Container = new()
                {
                    Networks = owner is null ? [new("default")] : null,
                    NetworkMode = owner is null ? null : "service:" + owner,
                    Devices = random.Next(6) == 0 ? [new("/dev/stick", "/dev/stick", "rwm")] : null,
                    Healthcheck = random.Next(2) == 0 ? new() { Test = ["CMD", "true"] } : null,
                    Environment = random.Next(2) == 0 ? new() { ["X"] = $"{random.Next(2)}" } : null,
                    Ports = ports ? [new(80, 1000 + name[0])] : null,
                },
            };
        }

        return new([release]);
    }
}
