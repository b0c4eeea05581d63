using System.Globalization;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>The worker's part of its own update: it gets the program of the image that is named and hands it to the stub, which tries it; and it tells what came of it.</summary>
internal sealed class SelfUpdateAgent(HostPaths paths, Reconciler reconciler, ILogger log)
{
    public const string Service = "supervisor";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);
    private readonly UpdateStore store = new(paths);
    private readonly ImageProgram images = new(reconciler.Engine, new UpdateStore(paths), new ArchiveIndex(new Places(paths).Archives));
    private readonly bool hasStub = Environment.GetEnvironmentVariable(WorkerStub.Variable) == "1";
    private readonly HashSet<(WorkerBuild, string)> told = [];
    private (DateTime Written, string? Image) configured;

    public async Task RunAsync(CancellationToken stop)
    {
        var failures = 0;
        var again = TimeSpan.Zero;
        (string? Image, string Request) last = default;
        while (true)
        {
            var record = store.Load();
            TellVerdicts(record);
            var wanted = Wanted();
            if (wanted != last) (failures, again, last) = (0, TimeSpan.Zero, wanted);
            var step = hasStub ? record.Next(wanted.Image, wanted.Request) : UpdateStep.None;
            if (step == UpdateStep.None) reconciler.Report(Service, null);
            if (step == UpdateStep.GoBack) GoBack(record);
            if (step == UpdateStep.Fetch && reconciler.Now >= again)
            {
                if (await FetchAsync(wanted.Image!, wanted.Request, stop)) failures = 0;
                else again = reconciler.Now + Backoff(++failures);
            }

            await Task.Delay(Interval, stop);
        }
    }

    /// <summary>Names an image, or <see cref="UpdateRecord.BuiltIn"/>, by hand; null leaves it to config.yaml again. Gives why it is refused, or null.</summary>
    public string? Name(string? image, string by)
    {
        if (!hasStub) return "This worker was started without the stub that could try another one; under an init of the host's own start 'supervisor service' instead.";
        if (image is not (null or UpdateRecord.BuiltIn) && !ImageReference.TryParse(image, out _)) return $"'{image}' is not an image name";
        store.Named.Value = image is null ? null : (image, DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture));
        Remember(image is null ? "leave the supervisor to config.yaml" : $"update the supervisor to {image}", by, "done");
        return null;
    }

    /// <summary>What runs, what is wanted, what is tried and what failed.</summary>
    public Api.SupervisorReport Report()
    {
        var record = store.Load();
        var wanted = Wanted();
        return new(wanted.Image, record.StateOf(wanted.Image, wanted.Request), record.Good?.ToString() ?? UpdateRecord.BuiltIn, record.Trial?.ToString(), record.Tries, [.. record.Bad.Select(b => $"{b.Build}: {b.Reason}")]);
    }

    private (string? Image, string Request) Wanted()
    {
        if (store.Named.Value is var (image, request)) return (image, request);
        var written = File.GetLastWriteTimeUtc(paths.ConfigYaml);
        if (configured.Written != written) configured = (written, HostConfig.Read(paths.ConfigYaml, _ => { }).Supervisor);
        return (configured.Image, "config.yaml");
    }

    private async Task<bool> FetchAsync(string image, string request, CancellationToken stop)
    {
        try
        {
            log.Information("getting the supervisor out of {Image}", image);
            store.Prune(store.Load());
            var build = await images.FetchAsync(image, request, stop);
            Keep(store.Load().Stage(build));
            return true;
        }
        catch (NoWorkerException e)
        {
            Keep(store.Load().Distrust(new(e.Sha256, "", image, request), e.Message));
            return true;
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException or IOException or UnauthorizedAccessException)
        {
            reconciler.Report(Service, $"{image} cannot be had: {e.Message}; what runs goes on");
            return false;
        }
    }

    private void GoBack(UpdateRecord record) => Keep(record with { Good = null });

    private void Keep(UpdateRecord record)
    {
        store.Save(record);
        if (record.Trial is { } trial) Remember($"try {trial}", $"it was named: {trial.Request}", "begun");
        HostEvent.Report(WorkerStub.Staged, record.Trial?.ToString() ?? record.Good?.ToString() ?? UpdateRecord.BuiltIn);
    }

    /// <summary>The stub has no history of its own: what it found is told by whichever worker runs then, once.</summary>
    private void TellVerdicts(UpdateRecord record)
    {
        foreach (var (build, outcome) in (IEnumerable<(WorkerBuild, string)>)[.. record.Bad.Select(b => (b.Build, $"bad: {b.Reason}")), .. record.Good is { } good ? [(good, "good")] : Array.Empty<(WorkerBuild, string)>()])
        {
            var (what, cause) = ($"try {build}", $"it was named: {build.Request}");
            if (told.Add((build, outcome)) && !reconciler.History.Of(Service, 100).Exists(e => (e.What, e.Cause, e.Outcome) == (what, cause, outcome))) Remember(what, cause, outcome);
        }
    }

    private void Remember(string what, string cause, string outcome)
    {
        log.Information("{What}: {Outcome}", what, outcome);
        reconciler.History.Add(new HistoryEntry(DateTimeOffset.UtcNow, what, cause, outcome, Service));
    }

    private static TimeSpan Backoff(int failures) => TimeSpan.FromSeconds(Math.Min(300, 5L << Math.Min(failures, 6)));
}
