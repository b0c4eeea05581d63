using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>How a container of an image behaves.</summary>
internal enum Behaviour { Good, Exits, Unhealthy, NeverSignals, CannotBeCreated, CannotBeStarted }

/// <summary>An engine and a host in memory, as fast as a planner fuzz needs them: performs steps, lets time pass, and watches over the laws.</summary>
internal sealed class World(Random random)
{
    private readonly Dictionary<string, Behaviour> behaviours = [];
    private readonly SortedDictionary<string, Failure> failures = [];
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
    public bool RegistryAway { get; set; }
    public bool Locked { get; set; }
    public List<string> Trace { get; } = [];

    public void Behave(string id, Behaviour behaviour) => behaviours[id] = behaviour;

    public Behaviour Of(string id) => behaviours.GetValueOrDefault(id);

    public CurrentState Observe() => new()
    {
        Containers = [.. Containers],
        Images = [.. Present.Select(id => new ImageState(id, [.. Registry.Where(r => r.Value == id).Select(r => r.Key)]))],
        Networks = [.. Networks],
        Volumes = [.. Volumes],
        Relays = new(Relays),
        Failures = new(failures),
        Locked = Locked ? new(Containers.Where(c => c.Up).Select(c => c.Key)) : [],
        Memory = Memory,
    };

    /// <summary>One round: plan, check the laws, perform what chance allows, let time pass. Gives the plan.</summary>
    public List<Step> Round(TargetState target, Action<List<Step>>? check = null)
    {
        if (Memory.Target != target) Memory = Memory.Apply(new JournalEntry.TargetAccepted(target));
        foreach (var service in target.Apps.SelectMany(a => a.Services.Values))
            if (Observe().Image(service.Image) is { } image) Memory = Memory.Apply(new JournalEntry.ImageUsed(image.Id, service.Image));
        var plan = Planner.NextSteps(Observe(), target, Now);
        check?.Invoke(plan);
        foreach (var step in plan)
        {
            if (Trace.Count < 400) Trace.Add($"{Now.TotalSeconds:0.00} {step}");
            if (random.NextDouble() < 0.9) Perform(step);
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
        Relays.Clear();
        for (var i = 0; i < Containers.Count; i++) Containers[i] = Containers[i] with { RunningFor = TimeSpan.Zero, EndedFor = TimeSpan.Zero, Starts = 0, AllStarts = 0 };
    }

    private void Perform(Step step)
    {
        if (step is not (Step.Wait or Step.MarkGood or Step.MarkBad) && (random.NextDouble() < Faults || Refused(step)))
        {
            failures[step.Key] = new(failures.TryGetValue(step.Key, out var f) && f.Subject == step.Subject ? f.Count + 1 : 1, Now, "refused", step.Subject);
            return;
        }

        failures.Remove(step.Key);
        switch (step)
        {
            case Step.Fetch s: Present.Add(Registry[s.Reference]); break;
            case Step.RemoveImage s:
                Assert.DoesNotContain(Containers, c => c.ImageId == s.Id);
                Present.Remove(s.Id);
                Memory = Memory.Apply(new JournalEntry.ImageGone(s.Id));
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
        }
    }

    private bool Refused(Step step) => step switch
    {
        Step.Fetch s => RegistryAway || !Registry.ContainsKey(s.Reference),
        Step.Create s => Of(s.ImageId) == Behaviour.CannotBeCreated || Containers.Exists(c => c.Name == s.Name),
        Step.Start s => Containers.Find(c => c.Id == s.ContainerId) is not { } c || Of(c.ImageId) == Behaviour.CannotBeStarted || PortTaken(c),
        Step.Rename s => Containers.Exists(c => c.Name == s.NewName),
        _ => false,
    };

    /// <summary>Two containers with ports that the engine publishes cannot run at the same time.</summary>
    private bool PortTaken(ContainerState container) => !container.OwnsPorts && container.Spec!.Contains("\"ports\"", StringComparison.Ordinal)
        && (Containers.Exists(c => c.Key == container.Key && c.Id != container.Id && c.Up && !c.OwnsPorts && c.Spec!.Contains("\"ports\"", StringComparison.Ordinal)) || Relays.ContainsKey(container.Key));

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
            Addresses = new((service.Container.Networks ?? []).ToDictionary(n => release.Networks[n.Network].EngineName(release.App, n.Network), _ => $"10.0.0.{created % 250}"), StringComparer.Ordinal),
        });
    }

    private void Change(string id, Func<ContainerState, ContainerState> change)
    {
        var index = Containers.FindIndex(c => c.Id == id);
        if (index >= 0) Containers[index] = change(Containers[index]);
    }
}
