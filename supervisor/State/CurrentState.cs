namespace OsBuild.Supervisor.State;

/// <summary>All a planner may know: what the engine and the host really have, what is remembered, what failed lately.</summary>
internal sealed record CurrentState
{
    public List<ContainerState> Containers { get; init; } = [];
    public List<ImageState> Images { get; init; } = [];
    public List<NetworkState> Networks { get; init; } = [];
    public List<VolumeState> Volumes { get; init; } = [];

    /// <summary>Image archives lying on the device: full reference to file.</summary>
    public SortedDictionary<string, string> Archives { get; init; } = [];

    /// <summary>Where each owned address leads now (<c>app/service</c> to container id).</summary>
    public SortedDictionary<string, RelayState> Relays { get; init; } = [];

    /// <summary>Services whose app has taken its update lock (<c>app/service</c>).</summary>
    public SortedSet<string> Locked { get; init; } = [];
    public bool ForceLocks { get; init; }

    /// <summary>What failed, by <see cref="Planning.Step.Key"/>.</summary>
    public SortedDictionary<string, Failure> Failures { get; init; } = [];

    /// <summary>When each reference was last pulled in this life of the worker.</summary>
    public SortedDictionary<string, TimeSpan> Pulled { get; init; } = [];

    /// <summary>References the registry said it has, in this life of the worker.</summary>
    public SortedSet<string> Probed { get; init; } = [];

    /// <summary>Devices of the host that services name and that are not there now, by path.</summary>
    public SortedSet<string> MissingDevices { get; init; } = [];
    public DiskState Disk { get; init; } = DiskState.Ample;
    public Memory Memory { get; init; } = new();

    public ImageState? Image(string reference)
    {
        var full = ImageReference.Normalize(reference);
        return Images.FirstOrDefault(i => i.References.Contains(full) || i.Id == reference);
    }
}

internal enum ContainerStatus { Created, Running, Paused, Restarting, Exited, Removing, Dead }

internal enum Health { None, Starting, Healthy, Unhealthy }

/// <summary>One of our containers as the engine has it.</summary>
internal sealed record ContainerState
{
    public required string Id { get; init; }
    public required string App { get; init; }
    public required string Service { get; init; }
    public required string Hash { get; init; }
    public required string ImageId { get; init; }
    public string Name { get; init; } = "";
    public ContainerStatus Status { get; init; }
    public Health Health { get; init; }
    public int ExitCode { get; init; }
    public bool OutOfMemory { get; init; }
    public string Error { get; init; } = "";

    /// <summary>The specification it was made from (canonical JSON), from its own label.</summary>
    public string? Spec { get; init; }
    public List<string> DependsOn { get; init; } = [];

    /// <summary>Ids of the containers whose network, processes or memory it was made to share.</summary>
    public List<string> SharesWith { get; init; } = [];

    /// <summary>Networks it is attached to (engine names) with its address there.</summary>
    public SortedDictionary<string, string> Addresses { get; init; } = [];

    /// <summary>The engine's own time stamp of the last start; only compared, never calculated with.</summary>
    public string StartedAt { get; init; } = "";

    /// <summary>How long it has been seen running without a break, by the monotonic clock.</summary>
    public TimeSpan RunningFor { get; init; }

    /// <summary>How long it has been seen ended.</summary>
    public TimeSpan EndedFor { get; init; }

    /// <summary>Starts that did not last since it last ran for a minute.</summary>
    public int Starts { get; init; }
    /// <summary>All starts since it was made or was last stopped by us.</summary>
    public int AllStarts { get; init; }
    public bool StartedThisBoot { get; init; }

    /// <summary>The hand-over file was written by this container.</summary>
    public bool Signalled { get; init; }

    public bool Up => Status is ContainerStatus.Running or ContainerStatus.Paused or ContainerStatus.Restarting;
    /// <summary>It was made to have its ports published by the supervisor.</summary>
    public bool OwnsPorts => Spec?.Contains("\"ownsPorts\":true", StringComparison.Ordinal) == true;
    public string Key => $"{App}/{Service}";
    public string ShortId => Id.Length > 12 ? Id[..12] : Id;
}

internal sealed record ImageState(string Id, List<string> References, long Size = 0);

internal sealed record NetworkState(string Id, string Name, string App, string Hash);

internal sealed record VolumeState(string Name, string App, string Hash);

/// <summary>Where an owned address leads: the container, since when, and how many connections each container still has.</summary>
internal sealed record RelayState(string ContainerId, string Address, TimeSpan Since, SortedDictionary<string, int> Connections);

/// <summary>The recent failures of one kind of step.</summary>
/// <param name="Count">In a row.</param>
/// <param name="At">When the last one happened (monotonic).</param>
/// <param name="Reason">What the engine said.</param>
/// <param name="Subject">What was tried, so that a changed target starts afresh.</param>
internal sealed record Failure(int Count, TimeSpan At, string Reason, string Subject);
