using OsBuild.Flasher.Writing;
using OsBuild.Images;

namespace OsBuild.Flasher.Commands;

/// <summary>How a run ends that went wrong: what scripts see, one sentence, and the exit code.</summary>
internal sealed record Ending(string Result, string Message, int ExitCode)
{
    /// <summary>The ending for what was thrown; null for a mistake of this program, which must show itself.</summary>
    public static Ending? Of(Exception thrown) => thrown switch
    {
        RefusedException => new Ending("refused", thrown.Message, 2),
        OperationCanceledException => new Ending("failed", "Stopped. Nothing was written.", 1),
        IOException or ImageException or UnauthorizedAccessException => new Ending("failed", thrown.Message, 1),
        _ => null,
    };
}
