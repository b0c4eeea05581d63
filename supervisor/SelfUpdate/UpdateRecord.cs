namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>A worker that came as an image.</summary>
/// <param name="Sha256">Of the program, 64 hexadecimal digits: its name on the disk, and how a damaged one is known. Empty when it was never had whole.</param>
/// <param name="Version">What it said of itself.</param>
/// <param name="Image">The image it came in, as it was named.</param>
/// <param name="Request">Tells two requests for the same image apart: what its name stands for may have changed in between.</param>
internal sealed record WorkerBuild(string Sha256, string Version, string Image, string Request)
{
    /// <summary>True when it is what was asked for.</summary>
    public bool Answers(string image, string request) => (Image, Request) == (image, request);

    public override string ToString() => $"{Image} ({(Version.Length > 0 ? Version + ", " : "")}{(Sha256.Length >= 12 ? Sha256[..12] : "not had")})";
}

/// <summary>A worker that failed and is not tried again.</summary>
internal sealed record BadBuild(WorkerBuild Build, string Reason);

/// <summary>
/// What is known about workers other than the root's own. Pure: every change is a new record. The worker writes it while nothing is on trial, the
/// stub (PID 1) while something is, so there is one writer at any time.
/// </summary>
internal sealed record UpdateRecord
{
    /// <summary>Trials that ended without a verdict (the power went) before the worker is bad.</summary>
    public const int MostTries = 3;

    private const int MostBad = 16;

    /// <summary>The name of the root's own worker, where an image may be named.</summary>
    public const string BuiltIn = "built-in";

    /// <summary>The last one that proved itself; null: the root's own runs.</summary>
    public WorkerBuild? Good { get; init; }

    /// <summary>The one that is to prove itself.</summary>
    public WorkerBuild? Trial { get; init; }

    /// <summary>How often the trial was begun. Written before each.</summary>
    public int Tries { get; init; }

    public List<BadBuild> Bad { get; init; } = [];

    /// <summary>True when this very program has failed before.</summary>
    public BadBuild? KnownBad(string sha256) => sha256.Length == 0 ? null : Bad.FindLast(b => b.Build.Sha256 == sha256);

    /// <summary>A program that was fetched and looked at is put on trial; one that failed before is bad at once, the good one is good already.</summary>
    public UpdateRecord Stage(WorkerBuild build) =>
        KnownBad(build.Sha256) is { } bad ? Distrust(build, bad.Reason)
        : Good?.Sha256 == build.Sha256 ? this with { Good = build }
        : this with { Trial = build, Tries = 0 };

    /// <summary>What a trial begins with: one try more, or a verdict when that makes no sense.</summary>
    /// <param name="fault">What is wrong with its file, or null.</param>
    public UpdateRecord Begin(string? fault) =>
        Trial is null ? this
        : fault is not null ? Reject(fault)
        : Tries >= MostTries ? Reject($"{MostTries} trials ended without a verdict: the device was reset or lost its power each time")
        : this with { Tries = Tries + 1 };

    public UpdateRecord Prove() => Trial is null ? this : this with { Good = Trial, Trial = null, Tries = 0 };

    public UpdateRecord Reject(string reason) => Trial is not { } trial ? this : (this with { Trial = null, Tries = 0 }).Distrust(trial, reason);

    /// <summary>The good one is good no more: the root's own is the last resort.</summary>
    public UpdateRecord Abandon(string reason) => Good is not { } good ? this : (this with { Good = null }).Distrust(good, reason);

    /// <summary>A program that never came to a trial.</summary>
    public UpdateRecord Distrust(WorkerBuild build, string reason) =>
        this with { Bad = [.. Bad.Where(b => b.Build != build).TakeLast(MostBad - 1), new(build, reason)] };

    /// <summary>How far the wanted one is: good, bad, on trial, waiting; "none" when none is wanted.</summary>
    public string StateOf(string? image, string request) =>
        image is null ? "none"
        : Trial?.Answers(image, request) == true ? "on trial"
        : Good?.Answers(image, request) == true || (image == BuiltIn && Good is null) ? "good"
        : Bad.Exists(b => b.Build.Answers(image, request)) ? "bad"
        : "waiting";

    /// <summary>What is to be done so that the worker of the wanted image runs.</summary>
    /// <param name="image">The image that is named, <see cref="BuiltIn"/>, or null when none is.</param>
    /// <param name="request">Of the naming; see <see cref="WorkerBuild.Request"/>.</param>
    public UpdateStep Next(string? image, string request) =>
        image is null || Trial is not null ? UpdateStep.None
        : image == BuiltIn && Good is not null ? UpdateStep.GoBack
        : StateOf(image, request) == "waiting" ? UpdateStep.Fetch
        : UpdateStep.None;
}

internal enum UpdateStep
{
    None,

    /// <summary>Get the program out of the image, look at it, put it on trial.</summary>
    Fetch,

    /// <summary>Run the root's own worker again.</summary>
    GoBack,
}
