using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>One thing to do, and why. The planner makes them, the step runner performs them; nothing else touches the engine.</summary>
/// <param name="Cause">Why, as one clause for a person.</param>
internal abstract record Step(string Cause)
{
    /// <summary>What the step works on: two steps with one key never run at the same time, and failures are counted by it.</summary>
    public abstract string Key { get; }

    /// <summary>What exactly is tried, so that failures with something else do not count.</summary>
    public virtual string Subject => "";

    /// <summary>What is done, as one clause for a person.</summary>
    public abstract string What { get; }

    public sealed override string ToString() => $"{What}: {Cause}";

    public sealed record Fetch(string Reference, string Cause) : Step(Cause)
    {
        public override string Key => "image " + Reference;
        public override string What => $"pull {Reference}";
    }

    /// <summary>Asks the registry whether it would give the image, before anything is stopped for it.</summary>
    public sealed record Probe(string Reference, string Cause) : Step(Cause)
    {
        public override string Key => "probe " + Reference;
        public override string What => $"ask for {Reference}";
    }

    public sealed record Load(string Reference, string Archive, string Cause) : Step(Cause)
    {
        public override string Key => "archive " + Archive;
        public override string What => $"load {Reference} from {Archive}";
    }

    public sealed record RemoveImage(string Id, string Reference, string Cause) : Step(Cause)
    {
        public override string Key => "image " + Id;
        public override string What => $"remove image {Reference}";
    }

    /// <summary>Removes the engine's broken copy of an image with the stopped containers made from it; it is then had again.</summary>
    public sealed record Repair(string ImageId, string Reference, List<string> Containers, string Cause) : Step(Cause)
    {
        public override string Key => "repair " + Reference;
        public override string Subject => ImageId;
        public override string What => $"remove the broken copy of {Reference}";
    }

    public sealed record CreateNetwork(string App, string Network, NetworkSpec Spec, string Cause) : Step(Cause)
    {
        public override string Key => "network " + Spec.EngineName(App, Network);
        public override string Subject => SpecHash.Of(Spec);
        public override string What => $"create network {Spec.EngineName(App, Network)}";
    }

    public sealed record RemoveNetwork(string Id, string Name, string Cause) : Step(Cause)
    {
        public override string Key => "network " + Name;
        public override string What => $"remove network {Name}";
    }

    public sealed record CreateVolume(string App, string Volume, VolumeSpec Spec, string Cause) : Step(Cause)
    {
        public override string Key => "volume " + Spec.EngineName(App, Volume);
        public override string Subject => SpecHash.Of(Spec);
        public override string What => $"create volume {Spec.EngineName(App, Volume)}";
    }

    public sealed record Create(Release Release, Service Service, string ImageId, string Name, string Cause) : Step(Cause)
    {
        /// <summary>The container of each service whose name spaces it is to be in.</summary>
        public SortedDictionary<string, string> Shares { get; init; } = [];

        public override string Key => $"create {Release.App}/{Service.Name}";
        public override string Subject => Service.Hash() + " " + ImageId;
        public override string What => $"create {Name}";
    }

    public sealed record Start(string ContainerId, string Name, string Subject, string Cause) : Step(Cause)
    {
        public override string Key => "container " + ContainerId;
        public override string Subject { get; } = Subject;

        /// <summary>True when it ended by itself and its restart policy wants it back.</summary>
        public bool Again { get; init; }

        public override string What => $"start {Name}";
    }

    public sealed record Stop(string ContainerId, string Name, TimeSpan? Grace, string Cause) : Step(Cause)
    {
        /// <summary>The service whose update lock is taken while it is stopped, so that its app cannot take it in between; null stops it in any case.</summary>
        public string? LockOf { get; init; }
        public override string Key => "container " + ContainerId;
        public override string What => $"stop {Name}";
    }

    public sealed record Remove(string ContainerId, string Name, string Cause) : Step(Cause)
    {
        public override string Key => "container " + ContainerId;
        public override string What => $"remove {Name}";
    }

    public sealed record Rename(string ContainerId, string Name, string NewName, string Cause) : Step(Cause)
    {
        public override string Key => "container " + ContainerId;
        public override string What => $"rename {Name} to {NewName}";
    }

    /// <summary>Leads the addresses the supervisor owns for a service to this container.</summary>
    public sealed record Publish(string ServiceKey, string ContainerId, string Name, string Address, List<PortSpec> Ports, string Cause) : Step(Cause)
    {
        public override string Key => "publish " + ServiceKey;
        public override string Subject => string.Join(' ', Ports);
        public override string What => $"lead {string.Join(", ", Ports)} to {Name}";
    }

    public sealed record Withdraw(string ServiceKey, string Cause) : Step(Cause)
    {
        public override string Key => "publish " + ServiceKey;
        public override string What => $"close the published ports of {ServiceKey}";
    }

    public sealed record MarkGood(Release Release, string Cause) : Step(Cause)
    {
        public override string Key => "release " + Release.App;
        public override string What => $"take the release of {Release.App} as good";
    }

    public sealed record MarkBad(BadRelease Bad, string Cause) : Step(Cause)
    {
        public override string Key => "release " + Bad.App;
        public override string What => $"take the release of {Bad.App} as bad and go back to the last good one";
    }

    /// <summary>Nothing to do yet, and when it is worth looking again at the latest.</summary>
    public sealed record Wait(string For, TimeSpan? Until, string Cause) : Step(Cause)
    {
        /// <summary>True when the containers are those the target wants and only time, or a person, decides what comes next.</summary>
        public bool Settled { get; init; }

        /// <summary>True when it ends by a file that tells nobody when it changes, so that it must be looked at again and again.</summary>
        public bool Untold { get; init; }

        public static Wait ForLock(string holder, string cause) => new($"the update lock of {holder}", null, cause) { Untold = true };

        public override string Key => "wait " + For;
        public override string What => $"wait for {For}";
    }
}
