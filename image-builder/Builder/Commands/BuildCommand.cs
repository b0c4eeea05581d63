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
        var plan = Preparation.Plan(request, progress, cancel);
        if (request.PlanOnly)
        {
            if (reporter.Json) PlanJson.Write(plan, reporter);
            else reporter.Output.Write(PlanText.Describe(plan));
            return reporter.Json ? reporter.Done("Nothing was written: this is the plan.") : 0;
        }

        var started = TimeProvider.System.GetTimestamp();
        var result = BuildJob.Run(request, plan, progress, cancel);
        var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        return reporter.Done($"{result.Path}: {new ByteSize(result.Size)}, of which {new ByteSize(result.Mapped)} hold something, in {seconds:0.0} s");
    }
}
