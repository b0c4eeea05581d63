using System.Text.Json;
using OsBuild.Flasher.Choosing;
using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Sources;
using OsBuild.Flasher.Writing;
using OsBuild.Images;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Commands;

/// <summary>What was typed after <c>flasher write</c> or <c>flasher verify</c>.</summary>
internal sealed record WriteArguments
{
    public required string Image { get; init; }

    public required IReadOnlyList<string> To { get; init; }

    public bool Yes { get; init; }

    public bool Verify { get; init; } = true;

    public bool UseMap { get; init; } = true;

    public bool Json { get; init; }

    public bool Eject { get; init; }

    /// <summary>The image is another drive.</summary>
    public bool FromDrive { get; init; }

    public bool Probe { get; init; } = true;

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(120);

    public string? Sha256 { get; init; }

    /// <summary>Settings for the boot partition, as typed: <c>KEY=VALUE</c>.</summary>
    public IReadOnlyList<string> Set { get; init; } = [];

    public string? ConfigJson { get; init; }

    public string? Compose { get; init; }

    public string? AllowSystemDisk { get; init; }
}

/// <summary><c>flasher write</c>: look, ask, look again, write. And <c>flasher verify</c>.</summary>
internal static class WriteCommand
{
    public static int Write(WriteArguments typed, CancellationToken stop) => Guarded(typed.Json, () =>
    {
        SystemFacts Gather() => typed.FromDrive ? WithSource(Targets.Gather(null), typed.Image) : Targets.Gather(HttpImage.IsAddress(typed.Image) ? null : typed.Image);
        var choose = typed.To.Count == 0;
        if (choose && (typed.Json || typed.Yes || !TerminalChooser.Possible)) throw new RefusedException("Name a drive with --to; flasher list shows them. Nothing was written.");
        if (!Targets.IsPrivileged && (typed.FromDrive || choose || typed.To.Any(t => !Targets.IsOrdinaryFile(t))))
            return Elevation.Offer(typed.FromDrive ? "Reading a drive needs more rights" : "Writing to a drive needs more rights", typed.Json || typed.Yes);
        var facts = Gather();
        var request = Request(typed, facts, stop);
        var targets = choose ? TerminalChooser.Choose(typed.Image, request.Source.Length, Gather, stop) : FlashSession.Judge(request, facts);
        if (choose) request = request with { Targets = [.. targets.Select(t => t.Name)] };
        else if (!typed.Yes) Confirm(typed, targets);
        var view = new ProgressView(FlashState.For(targets.Select(t => t.Name)), typed.Json ? Console.Out : Console.Error, typed.Json, !typed.Json && !Console.IsErrorRedirected, TimeProvider.System);
        var outcomes = FlashSession.Run(request, targets, Gather, TimeProvider.System, view.Show, stop);
        return Conclude(typed.Json, outcomes);
    });

    public static int Verify(WriteArguments typed, CancellationToken stop) => Guarded(typed.Json, () =>
    {
        if (typed.To.Count == 0) throw new RefusedException("Name a drive with --to; flasher list shows them.");
        var source = ImageSource(typed, stop);
        var facts = Targets.Gather(typed.Image);
        if (!Targets.IsPrivileged && typed.To.Any(t => !Targets.IsOrdinaryFile(t))) return Elevation.Offer("Reading a drive needs root", typed.Json);
        var view = new ProgressView(FlashState.For(typed.To), typed.Json ? Console.Out : Console.Error, typed.Json, !typed.Json && !Console.IsErrorRedirected, TimeProvider.System);
        List<CopyOutcome> outcomes = [];
        foreach (var target in typed.To)
        {
            using var medium = Targets.OpenForReading(target, facts);
            outcomes.Add(ImageComparer.Compare(source, medium, outcomes.Count, TimeProvider.System, view.Show, stop));
        }

        return Conclude(typed.Json, outcomes);
    });

    /// <summary>The drive that is read must not be written.</summary>
    private static SystemFacts WithSource(SystemFacts facts, string drive) => Targets.Resolve(drive, facts) is { } disk
        ? facts with { Uses = [.. facts.Uses, new Use(disk.Node, UseKind.Image, "it is the one to be copied")] } : facts;

    private static FlashRequest Request(WriteArguments typed, SystemFacts facts, CancellationToken stop) => new()
    {
        ImagePath = typed.Image,
        Source = typed.FromDrive ? DriveSource.Open(typed.Image, facts with { Uses = [.. facts.Uses.Where(u => u.Kind != UseKind.Image)] }) : ImageSource(typed, stop),
        Targets = typed.To,
        AllowSystemDisk = typed.AllowSystemDisk,
        Eject = typed.Eject,
        Options = new CopyOptions { Verify = typed.Verify, ProbeCapacity = typed.Probe, StallLimit = typed.Timeout },
    };

    private static CopySource ImageSource(WriteArguments typed, CancellationToken stop)
    {
        var configuration = BootSettings.Parse(typed.Set, typed.ConfigJson, typed.Compose);
        using var view = CheckView.For(typed.Image, typed.Json, stop);
        return BootSettings.Configured(ImageFile.Open(typed.Image, typed.UseMap, typed.Sha256, typed.Timeout, view.Show), configuration);
    }

    private static void Confirm(WriteArguments typed, IReadOnlyList<JudgedTarget> targets)
    {
        if (typed.Json || Console.IsInputRedirected) throw new RefusedException("Nobody is there to confirm; say --yes to write without asking. Nothing was written.");
        foreach (var target in targets)
        {
            var words = target.Name[(target.Name.LastIndexOf('/') + 1)..];
            Console.Error.WriteLine($"Everything on {Describe(target)} will be overwritten with {typed.Image}.");
            foreach (var warning in target.Verdict?.Warnings ?? []) Console.Error.WriteLine($"  ! {warning}");
            Console.Error.Write($"Type {words} to go on: ");
            if (Console.ReadLine()?.Trim() != words) throw new RefusedException("Not confirmed; nothing was written.");
        }
    }

    private static string Describe(JudgedTarget target)
    {
        if (target.Disk is not { } disk) return $"the file {target.Name}";
        var holds = disk.Holds.Count > 0 ? $", holding {string.Join(", ", disk.Holds)}" : "";
        return $"{disk.Device} ({string.Join(", ", ((string[])[disk.Model, new ByteSize(disk.Size).ToString(), disk.Transport]).Where(s => s.Length > 0))}{holds})";
    }

    private static int Conclude(bool json, IReadOnlyList<CopyOutcome> outcomes)
    {
        var code = Names.ExitCode(outcomes);
        var message = string.Join(" ", outcomes.Where(o => code == 0 || o.Result != CopyResult.Done).Select(o => o.Message));
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize(new ResultLine(code == 0 ? "ok" : "failed", message), OutputJson.Default.ResultLine));
        return code;
    }

    /// <summary>Turns what may go wrong into one sentence and an exit code.</summary>
    public static int Guarded(bool json, Func<int> act)
    {
        try
        {
            return act();
        }
        catch (Exception e) when (Ending.Of(e) is not null)
        {
            return Say(json, Ending.Of(e)!);
        }
    }

    private static int Say(bool json, Ending ending)
    {
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize(new ResultLine(ending.Result, ending.Message), OutputJson.Default.ResultLine));
        else Console.Error.WriteLine($"flasher: {ending.Message}");
        return ending.ExitCode;
    }
}
