using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder build</c>.</summary>
internal static class BuildCommand
{
    public static int Run(BuildRequest request, Reporter reporter, CancellationToken cancel)
    {
        var progress = reporter.Progress();
        if (request.PlanOnly)
        {
            var plan = Preparation.Plan(request, progress, cancel);
            if (reporter.Json) PlanJson.Write(plan, reporter);
            else reporter.Output.Write(PlanText.Describe(plan));
            return reporter.Json ? reporter.Done("Nothing was written: this is the plan.") : 0;
        }

        var started = TimeProvider.System.GetTimestamp();
        var result = BuildJob.Run(request, progress, cancel);
        var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        foreach (var note in result.Notes) reporter.Note(note);
        var done = result.Kind switch
        {
            BuildKind.Nothing => "unchanged, nothing to do",
            BuildKind.BootOnly => "only the boot partition was written",
            _ => $"{new ByteSize(result.Mapped)} of it hold something",
        };
        return reporter.Done($"{result.Path}: {new ByteSize(result.Size)}, {done}, in {seconds:0.00} s");
    }
}
