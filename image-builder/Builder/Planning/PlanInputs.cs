using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>All that is known of the inputs when an image is planned. Data: the planner opens nothing.</summary>
internal sealed record PlanInputs
{
    public required Board Board { get; init; }
    public required DeployContent Deploy { get; init; }
    public required UserFiles User { get; init; }
    public required RootfsFacts Rootfs { get; init; }

    /// <summary>The kernel's modules; null when it has none.</summary>
    public ModuleSet? Modules { get; init; }

    /// <summary>The initramfs: made by the builder or taken from the deploy directory; null when the kernel needs none.</summary>
    public Source? Initramfs { get; init; }

    /// <summary>Link that makes the supervisor's interpreter path work, and its target.</summary>
    public (string Path, string Target)? InterpreterLink { get; init; }

    public required Identity Identity { get; init; }

    /// <summary>Seconds since 1970.</summary>
    public required long Time { get; init; }

    /// <summary>Version of this program, for the record.</summary>
    public required string BuilderVersion { get; init; }

    public string KernelVersion => Deploy.KernelFacts.Version ?? Modules?.Version ?? "unknown";

    public string Version => Rootfs.OsRelease("VERSION_ID") ?? Deploy.TestData["DISTRO_VERSION"] ?? "unknown";
}
