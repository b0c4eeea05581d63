using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>How a container of an image behaves.</summary>
internal enum Behaviour { Good, Exits, Unhealthy, NeverSignals, CannotBeCreated, CannotBeStarted }

/// <summary>The worker was killed at a step, as <see cref="World.DieAt"/> asked for.</summary>
internal sealed class WorkerKilled : Exception;

/// <summary>An engine and a host in memory, as fast as a planner fuzz needs them: performs steps, lets time pass, and watches over the laws.</summary>
internal sealed class World(Random random)
{
    public const string Damage = "error creating overlay mount to /data/docker/overlay2/x/merged: no such file or directory";

    private readonly Dictionary<string, Behaviour> behaviours = [];
    private readonly SortedDictionary<string, Failure> failures = [];
    private readonly SortedSet<string> probed = [];
    private int created;

    public List<ContainerState> Containers { get; } = [];
    public Dictionary<string, string> Registry { get; } = [];
    public HashSet<string> Present { get; } = [];
    public List<NetworkState> Networks { get; } = [];
    public List<VolumeState> Volumes { get; } = [];
    public SortedDictionary<string, RelayState> Relays { get; } = [];
    public Memory Memory { get; set; } = new();
    public TimeSpan Now { get; private set; }

    /// <summary>The probability that a step fails for no reason of its own.</summary>
    public double Faults { get; set; }

    /// <summary>The probability that a planned step is not begun in its round.</summary>
    public double Skips { get; set; } = 0.1;
    public bool RegistryAway { get; set; }

    /// <summary>The registry answers, but no download ends well.</summary>
    public bool DownloadsFail { get; set; }
    public bool Locked { get; set; }
    public DiskState Disk { get; set; } = DiskState.Ample;

    /// <summary>Devices of the host that are not plugged in.</summary>
    public SortedSet<string> MissingDevices { get; } = [];

    /// <summary>Images whose copy in the engine's store is torn; fetching one again mends it.</summary>
    public HashSet<string> Torn { get; } = [];

    /// <summary>Images that were torn and are whole again without having been fetched: the failure that told of it is still remembered.</summary>
    public HashSet<string> Mended { get; } = [];

    /// <summary>How many repairs the engine still refuses.</summary>
    public int RepairsRefused { get; set; }

    /// <summary>What is fetched is torn as soon as it is here.</summary>
    public bool BreaksAgain { get; set; }
    public List<string> Trace { get; } = [];

    /// <summary>Whether each step is written down. A million worlds go without, and only the one that fails is lived again with it.</summary>
    public bool Tracing { get; init; } = true;

    /// <summary>Steps performed so far, waits not counted.</summary>
    public int Performed { get; private set; }

    /// <summary>The step at which the worker dies (counted as <see cref="Performed"/>), and whether before or after the engine did it.</summary>
    public (int Step, bool Before)? DieAt { get; set; }

    /// <summary>The one step that the engine refuses.</summary>
    public int? FailAt { get; set; }

    public void Behave(string id, Behaviour? behaviour)
    {
        if (behaviour is { } known) behaviours[id] = known;
        else behaviours.Remove(id);
    }

    public Behaviour Of(string id) => behaviours.GetValueOrDefault(id);

    public CurrentState Observe() => new()
    {
        Containers = [.. Containers],
        Images = [.. Present.Select(id => new ImageState(id, [.. Registry.Where(r => r.Value == id).Select(r => r.Key)]))],
        Networks = [.. Networks],
        Volumes = [.. Volumes],
        Relays = new(Relays),
        Failures = new(failures),
        Probed = new(probed),
        Disk = Disk,
        MissingDevices = new(MissingDevices),
        Locked = Locked ? new(Containers.Where(c => c.Up).Select(c => c.Key)) : [],
        Memory = Memory,
    };

    /// <summary>One round: plan, check the laws, perform what chance allows, let time pass. Gives the plan.</summary>
    public List<Step> Round(TargetState target, Action<CurrentState, List<Step>>? check = null)
    {
        if (Memory.Target != target)
        {
            Memory = Memory.Apply(new JournalEntry.TargetAccepted(target));
            failures.Clear();
            probed.Clear();
        }

        var current = Observe();
        foreach (var service in target.Apps.SelectMany(a => a.Services.Values))
            if (current.Image(service.Image) is { } image && !Memory.Images.ContainsKey(image.Id)) Memory = Memory.Apply(new JournalEntry.ImageUsed(image.Id, service.Image));
        current = current with { Memory = Memory };
        var plan = Planner.NextSteps(current, target, Now);
        check?.Invoke(current, plan);
        foreach (var step in plan)
        {
            if (Tracing && Trace.Count < 400) Trace.Add($"{Now.TotalSeconds:0.00} {step}");
            if (step is not Step.Wait && random.NextDouble() >= Skips) Perform(step);
        }

        var next = plan.OfType<Step.Wait>().Select(w => w.Until).OfType<TimeSpan>().Select(t => t - Now).Where(t => t > TimeSpan.Zero).DefaultIfEmpty(TimeSpan.FromSeconds(5)).Min();
        Pass(plan.Exists(s => s is not Step.Wait) ? TimeSpan.FromSeconds(0.1) : next > TimeSpan.FromSeconds(60) ? TimeSpan.FromSeconds(60) : next + TimeSpan.FromMilliseconds(1));
        return plan;
    }

    public void Pass(TimeSpan time)
    {
        Now += time;
        for (var i = 0; i < Containers.Count; i++)
        {
            var c = Containers[i];
            if (!c.Up)
            {
                Containers[i] = c with { EndedFor = c.EndedFor + time };
                continue;
            }

            var behaviour = Of(c.ImageId);
            var ran = c.RunningFor + time;
            var health = c.Health == Health.None ? Health.None : ran < TimeSpan.FromSeconds(2) ? Health.Starting : behaviour == Behaviour.Unhealthy ? Health.Unhealthy : Health.Healthy;
            Containers[i] = behaviour == Behaviour.Exits && ran > TimeSpan.FromSeconds(0.5)
                ? c with { Status = ContainerStatus.Exited, ExitCode = 1, RunningFor = TimeSpan.Zero, EndedFor = TimeSpan.Zero, Health = c.Health == Health.None ? Health.None : Health.Unhealthy }
                : c with { RunningFor = ran, Health = health, Signalled = behaviour != Behaviour.NeverSignals && ran > TimeSpan.FromSeconds(1), Starts = ran > Backoff.Stable ? 1 : c.Starts };
        }
    }

    /// <summary>The worker died and came back: what it only knew in memory is gone.</summary>
    public void RestartWorker()
    {
        failures.Clear();
        probed.Clear();
        Relays.Clear();
        for (var i = 0; i < Containers.Count; i++) Containers[i] = Containers[i] with { RunningFor = TimeSpan.Zero, EndedFor = TimeSpan.Zero, Starts = 0, AllStarts = 0 };
    }

    /// <summary>The container's process ended by itself.</summary>
    public void End(string id, int code) => Change(id, c => c with { Status = ContainerStatus.Exited, ExitCode = code, RunningFor = TimeSpan.Zero, EndedFor = TimeSpan.Zero });

    private void Perform(Step step)
    {
        Performed++;
        if (DieAt is { Before: true } early && early.Step == Performed) throw new WorkerKilled();
        if (step is not (Step.MarkGood or Step.MarkBad) && (Refused(step) ?? (random.NextDouble() < Faults || FailAt == Performed ? "refused" : null)) is { } reason) FailureLog.Failed(failures, step, reason, Now);
        else Do(step);
        if (DieAt is { Before: false } late && late.Step == Performed) throw new WorkerKilled();
    }

    private void Do(Step step)
    {
        FailureLog.Succeeded(failures, step, Now);
        switch (step)
        {
            case Step.Probe s: probed.Add(s.Reference); break;
            case Step.Fetch s:
                Present.Add(Registry[s.Reference]);
                if (!BreaksAgain) Torn.Remove(Registry[s.Reference]);
                Mended.Remove(Registry[s.Reference]);
                break;
            case Step.RemoveImage s:
                Assert.DoesNotContain(Containers, c => c.ImageId == s.Id);
                Present.Remove(s.Id);
                Memory = Memory.Apply(new JournalEntry.ImageGone(s.Id));
                break;
            case Step.Repair s:
                Assert.DoesNotContain(Containers, c => c.ImageId == s.ImageId && c.Up);
                Assert.True(Torn.Contains(s.ImageId) || Mended.Contains(s.ImageId), $"{s.ImageId} is whole");
                Containers.RemoveAll(c => s.Containers.Contains(c.Id));
                Present.Remove(s.ImageId);
                break;
            case Step.CreateNetwork s: Networks.Add(new($"n{created++}", s.Spec.EngineName(s.App, s.Network), s.App, SpecHash.Of(s.Spec))); break;
            case Step.RemoveNetwork s: Networks.RemoveAll(n => n.Id == s.Id); break;
            case Step.CreateVolume s: Volumes.Add(new(s.Spec.EngineName(s.App, s.Volume), s.App, SpecHash.Of(s.Spec))); break;
            case Step.Create s: Create(s); break;
            case Step.Start s:
                Change(s.ContainerId, c => c with { Status = ContainerStatus.Running, RunningFor = TimeSpan.Zero, Starts = c.Starts + 1, AllStarts = c.AllStarts + 1, StartedThisBoot = true, Signalled = false, Health = c.Health == Health.None ? Health.None : Health.Starting });
                break;
            case Step.Stop s: Change(s.ContainerId, c => c with { Status = ContainerStatus.Exited, ExitCode = 143, EndedFor = TimeSpan.Zero, RunningFor = TimeSpan.Zero, Starts = 0, AllStarts = 0 }); break;
            case Step.Remove s: Containers.RemoveAll(c => c.Id == s.ContainerId); break;
            case Step.Rename s: Change(s.ContainerId, c => c with { Name = s.NewName }); break;
            case Step.Publish s: Relays[s.ServiceKey] = new(s.ContainerId, s.Address, Now, []); break;
            case Step.Withdraw s: Relays.Remove(s.ServiceKey); break;
            case Step.MarkGood s: Memory = Memory.Apply(new JournalEntry.ReleaseGood(s.Release)); break;
            case Step.MarkBad s: Memory = Memory.Apply(new JournalEntry.ReleaseBad(s.Bad)); break;
            default: throw new InvalidOperationException($"the world cannot {step.What}");
        }
    }

    private string? Refused(Step step) => step switch
    {
        Step.Probe s => RegistryAway || !Registry.ContainsKey(s.Reference) ? "manifest unknown" : null,
        Step.Fetch s => RegistryAway || DownloadsFail || !Registry.ContainsKey(s.Reference) ? "the registry does not give it" : null,
        Step.Create s => Torn.Contains(s.ImageId) ? Damage : Of(s.ImageId) == Behaviour.CannotBeCreated || Containers.Exists(c => c.Name == s.Name) || s.Shares.Values.Any(id => !Containers.Exists(c => c.Id == id)) ? "refused" : null,
        Step.Start s => Containers.Find(c => c.Id == s.ContainerId) is not { } c || Of(c.ImageId) == Behaviour.CannotBeStarted || PortTaken(c) || NothingToJoin(c) ? "refused" : Torn.Contains(c.ImageId) ? Damage : null,
        Step.Repair when RepairsRefused > 0 => $"refused, and {--RepairsRefused} times more",
        Step.Rename s => Containers.Exists(c => c.Name == s.NewName) ? "name taken" : null,
        _ => null,
    };

    /// <summary>Two containers with ports that the engine publishes cannot run at the same time.</summary>
    private bool PortTaken(ContainerState container) => !container.OwnsPorts && container.Spec!.Contains("\"ports\"", StringComparison.Ordinal)
        && (Containers.Exists(c => c.Key == container.Key && c.Id != container.Id && c.Up && !c.OwnsPorts && c.Spec!.Contains("\"ports\"", StringComparison.Ordinal)) || Relays.ContainsKey(container.Key));

    /// <summary>As the engine: it joins the name spaces of a container that runs, and gives only devices that are there.</summary>
    private bool NothingToJoin(ContainerState container) => container.SharesWith.Exists(id => !Containers.Exists(c => c.Id == id && c.Up))
        || MissingDevices.Any(d => container.Spec!.Contains($"\"host\":\"{d}\"", StringComparison.Ordinal));

    private void Create(Step.Create step)
    {
        Assert.Contains(step.ImageId, Present);
        var (release, service) = (step.Release, step.Service);
        Containers.Add(new ContainerState
        {
            Id = $"c{created++:d6}",
            App = release.App,
            Service = service.Name,
            Hash = service.Hash(),
            ImageId = step.ImageId,
            Name = step.Name,
            Status = ContainerStatus.Created,
            Health = service.Container.Healthcheck is null ? Health.None : Health.Starting,
            Spec = System.Text.Encoding.UTF8.GetString(SpecHash.Canonical(service)),
            DependsOn = [.. service.DependsOn.Select(d => d.Service)],
            SharesWith = [.. step.Shares.Values],
            Addresses = new((service.Container.Networks ?? []).ToDictionary(n => release.Networks[n.Network].EngineName(release.App, n.Network), _ => $"10.0.0.{created % 250}"), StringComparer.Ordinal),
        });
    }

    private void Change(string id, Func<ContainerState, ContainerState> change)
    {
        var index = Containers.FindIndex(c => c.Id == id);
        if (index >= 0) Containers[index] = change(Containers[index]);
    }
}
