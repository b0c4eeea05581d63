using System.Text.Json;
using OsBuild.Flasher.Writing;
using OsBuild.Images;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Commands;

/// <summary>Shows a flash on a terminal or as JSON lines: a view of <see cref="FlashState"/>.</summary>
internal sealed class ProgressView(FlashState state, TextWriter to, bool json, bool terminal, TimeProvider time)
{
    private static readonly TimeSpan JsonEvery = TimeSpan.FromMilliseconds(500);
    private readonly Lock _lock = new();
    private readonly DateTimeOffset[] _shown = new DateTimeOffset[state.Targets.Count];
    private int _lines;

    public FlashState State { get; private set; } = state;

    public void Show(CopyEvent happened)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            State = State.Apply(happened, now);
            if (json) ShowJson(happened, now);
            else if (terminal) Redraw();
            else if (happened is CopyEvent.PhaseStarted or CopyEvent.Ended) to.WriteLine(Line(State.Targets[happened.Target], 0));
        }
    }

    private void ShowJson(CopyEvent happened, DateTimeOffset now)
    {
        var target = State.Targets[happened.Target];
        if (happened is CopyEvent.Ended { Outcome: var o })
        {
            to.WriteLine(JsonSerializer.Serialize(new TargetLine(target.Device, Names.Of(o.Result), o.Message, o.Written, o.Skipped, o.Verified, o.FirstBadOffset), OutputJson.Default.TargetLine));
            return;
        }

        if (happened is CopyEvent.Progress && now - _shown[happened.Target] < JsonEvery) return;
        _shown[happened.Target] = now;
        to.WriteLine(JsonSerializer.Serialize(new ProgressLine(target.Device, Names.Of(target.Phase), target.Done, target.Total, (long)target.BytesPerSecond), OutputJson.Default.ProgressLine));
    }

    private void Redraw()
    {
        if (_lines > 0) to.Write($"\e[{_lines}A");
        foreach (var target in State.Targets) to.WriteLine("\r\e[K" + Line(target, 24));
        _lines = State.Targets.Count;
    }

    /// <summary>One line for one target.</summary>
    public static string Line(TargetState target, int bar)
    {
        if (target.Outcome is { } outcome) return $"{target.Device}  {outcome.Message}";
        var done = target.Fraction is { } part ? $"{part,4:0%}" : "";
        var filled = (int)((target.Fraction ?? 0) * bar);
        var meter = bar == 0 ? "" : $"[{new string('#', filled)}{new string('.', bar - filled)}] ";
        var speed = target.BytesPerSecond > 0 ? $"  {new ByteSize((long)target.BytesPerSecond)}/s" : "";
        var left = target.Left is { } time ? $"  {(int)time.TotalMinutes}:{time.Seconds:00} left" : "";
        var rewritten = target.RangesRewritten > 0 ? $"  {target.RangesRewritten} bad ranges written again" : "";
        return $"{target.Device}  {Names.Of(target.Phase),-8} {meter}{done}  {new ByteSize(target.Done)}{speed}{left}{rewritten}";
    }
}

/// <summary>The words that scripts see.</summary>
internal static class Names
{
    public static string Of(CopyPhase phase) => phase switch
    {
        CopyPhase.Prepare => "prepare",
        CopyPhase.Write => "write",
        CopyPhase.Verify => "verify",
        CopyPhase.Repair => "repair",
        _ => "finish",
    };

    public static string Of(CopyResult result) => result == CopyResult.Done ? "ok" : "failed";

    public static int ExitCode(IEnumerable<CopyOutcome> outcomes)
    {
        var results = outcomes.Select(o => o.Result).ToList();
        return results.Contains(CopyResult.VerifyFailed) ? 3 : results.All(r => r == CopyResult.Done) ? 0 : 1;
    }
}
