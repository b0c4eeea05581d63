namespace OsBuild.Supervisor.HostUpdate;

/// <summary>A host that came as an image.</summary>
/// <param name="Sha256">Of its description, which has the digests of everything else; empty when it was never had.</param>
/// <param name="Version">What it is called.</param>
/// <param name="Image">The image it came in, as it was named.</param>
/// <param name="Request">Tells two requests for the same image apart.</param>
/// <param name="Slot">The slot it is in; empty when it is in none.</param>
internal sealed record HostBuild(string Sha256, string Version, string Image, string Request, string Slot)
{
    public bool Answers(string image, string request) => (Image, Request) == (image, request);

    public override string ToString() => $"{Image}{(Version.Length > 0 ? $" ({Version})" : "")}";
}

/// <summary>A host that failed and is not tried again, and why.</summary>
internal sealed record BadHost(HostBuild Build, string Reason);

/// <summary>
/// What is known about hosts that came as images. Pure: every change is a new record. The worker writes it until a trial is armed; from then on PID 1
/// does, until the verdict.
/// </summary>
internal sealed record HostRecord
{
    private const int MostBad = 16;

    /// <summary>The last one that proved itself; null: the one of the disk image.</summary>
    public HostBuild? Good { get; init; }

    /// <summary>The one that is in the other slot and is to prove itself.</summary>
    public HostBuild? Trial { get; init; }

    /// <summary>The loader has been told to boot it.</summary>
    public bool Armed { get; init; }

    /// <summary>Services (<c>app/service</c>) that ran when it was armed: under the new host they must run too.</summary>
    public List<string> Services { get; init; } = [];

    /// <summary>The device had an address when it was armed.</summary>
    public bool Network { get; init; }

    public List<BadHost> Bad { get; init; } = [];

    public BadHost? KnownBad(string sha256) => sha256.Length == 0 ? null : Bad.FindLast(b => b.Build.Sha256 == sha256);

    /// <summary>It lies whole in the other slot; not written down before that.</summary>
    public HostRecord Stage(HostBuild build) => this with { Trial = build, Armed = false, Services = [], Network = false };

    /// <summary>What was staged is not wanted any more.</summary>
    public HostRecord Drop() => Armed ? this : this with { Trial = null };

    /// <summary>Written before the loader is told.</summary>
    public HostRecord Arm(IEnumerable<string> services, bool network) => Trial is null ? this : this with { Armed = true, Services = [.. services], Network = network };

    public HostRecord Prove() => Trial is null ? this : this with { Good = Trial, Trial = null, Armed = false, Services = [], Network = false };

    public HostRecord Reject(string reason) => Trial is not { } trial ? this : (this with { Trial = null, Armed = false, Services = [], Network = false }).Distrust(trial, reason);

    public HostRecord Distrust(HostBuild build, string reason) => this with { Bad = [.. Bad.Where(b => b.Build != build).TakeLast(MostBad - 1), new(build, reason)] };

    /// <summary>How far the wanted one is: none, waiting, written, on trial, good, bad.</summary>
    public string StateOf(string? image, string request) =>
        image is null ? "none"
        : Trial?.Answers(image, request) == true ? Armed ? "on trial" : "written"
        : Good?.Answers(image, request) == true ? "good"
        : Bad.Exists(b => b.Build.Answers(image, request)) ? "bad"
        : "waiting";

    /// <summary>What is to be done so that the wanted host runs.</summary>
    public HostStep Next(string? image, string request) => (Armed, StateOf(image, request)) switch
    {
        (true, _) => HostStep.None, // the verdict first
        (_, "waiting") => HostStep.Fetch,
        (_, "written") => HostStep.Arm,
        _ => Trial is null ? HostStep.None : HostStep.Drop,
    };
}

internal enum HostStep
{
    None,

    /// <summary>Get the image and write it into the other slot.</summary>
    Fetch,

    /// <summary>Boot the other slot as soon as nothing forbids it.</summary>
    Arm,

    /// <summary>What is written is not wanted any more.</summary>
    Drop,
}
