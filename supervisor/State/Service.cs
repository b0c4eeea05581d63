using System.Text.Json.Serialization;

namespace OsBuild.Supervisor.State;

/// <summary>One service of a release: what its container is made from, and how the supervisor treats it.</summary>
/// <remarks>Only <see cref="Image"/> and <see cref="Container"/> decide whether a container must be replaced; everything else is
/// policy that takes effect without a restart.</remarks>
internal sealed record Service
{
    public required string Name { get; init; }
    public required string Image { get; init; }
    public ContainerSpec Container { get; init; } = new();
    public RestartPolicy Restart { get; init; } = RestartPolicy.Default;
    public int? RestartLimit { get; init; }
    public List<Dependency> DependsOn { get; init; } = [];
    public UpdatePolicy Update { get; init; } = new();
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(10);
    public PullPolicy Pull { get; init; } = PullPolicy.Missing;
    public TimeSpan? PullEvery { get; init; }

    /// <summary>False keeps the service stopped while it stays part of the release (the fleet's <c>running</c>).</summary>
    public bool Running { get; init; } = true;

    /// <summary>What the container is called when its specification does not say it; a running one is renamed.</summary>
    public string? ContainerName { get; init; }
    public ServiceIds? Ids { get; init; }

    /// <summary>A name that changes exactly when the container must be replaced.</summary>
    public string Hash() => SpecHash.Of(this);

    /// <summary>True when the supervisor itself owns the published addresses, so that they can move between two running containers.</summary>
    public bool OwnsPorts => Update.Strategy == UpdateStrategy.HandOver && Container.Ports is { Count: > 0 };
}

/// <summary>When a container that ended is started again. The supervisor does it, not the engine: the engine's policies would bring
/// back replaced containers and know neither order nor proving time.</summary>
[JsonConverter(typeof(EnumName<RestartPolicy>))]
internal enum RestartPolicy
{
    /// <summary>Nothing was said: runs once after every boot, again when it failed; exit code 0 means finished.</summary>
    Default,
    No,
    Always,
    OnFailure,
    UnlessStopped,
}

[JsonConverter(typeof(EnumName<PullPolicy>))]
internal enum PullPolicy { Missing, Always, Never, Every }

[JsonConverter(typeof(EnumName<DependencyCondition>))]
internal enum DependencyCondition { Started, Healthy, CompletedSuccessfully }

internal sealed record Dependency(string Service, DependencyCondition Condition, bool Required = true, bool Restart = false);

[JsonConverter(typeof(EnumName<UpdateStrategy>))]
internal enum UpdateStrategy { DownloadThenKill, KillThenDownload, DeleteThenDownload, HandOver }

/// <summary>How one release of a service gives way to the next, and when the next one counts as good.</summary>
internal sealed record UpdatePolicy
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(60);
    public static readonly TimeSpan DefaultProvingTime = TimeSpan.FromSeconds(120);

    public UpdateStrategy Strategy { get; init; } = UpdateStrategy.DownloadThenKill;

    /// <summary>Hand-over: the new container must also write its hand-over file, not only be healthy.</summary>
    public bool Signal { get; init; }

    /// <summary>Hand-over: how long the new container has to become ready.</summary>
    public TimeSpan Timeout { get; init; } = DefaultTimeout;

    /// <summary>How long a new container must run without a fault before its release is good.</summary>
    public TimeSpan ProvingTime { get; init; } = DefaultProvingTime;

    /// <summary>False (failure_action: pause or continue) keeps a failing release instead of going back.</summary>
    public bool Rollback { get; init; } = true;
}
