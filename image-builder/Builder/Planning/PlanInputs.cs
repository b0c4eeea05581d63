using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>What decides over the boot partition. Data: the planner opens nothing.</summary>
internal record BootInputs
{
    public required Board Board { get; init; }
    public required DeployContent Deploy { get; init; }
    public required UserFiles User { get; init; }
    public required SystemFacts System { get; init; }

    /// <summary>The initramfs: made by the builder or taken from the deploy directory; null when the kernel needs none.</summary>
    public Source? Initramfs { get; init; }

    public required Identity Identity { get; init; }

    /// <summary>Time stamp of everything the builder makes, seconds since 1970.</summary>
    public required long Time { get; init; }

    /// <summary>Version of this program, which is also that of the supervisor published with it.</summary>
    public required string BuilderVersion { get; init; }

    /// <summary>Name of the image file.</summary>
    public string FileName => $"{Deploy.Image}-{Deploy.Machine}.img";
}

/// <summary>What the root file system says of the operating system in it.</summary>
/// <param name="Version">VERSION_ID, or bitbake's DISTRO_VERSION.</param>
/// <param name="Title">PRETTY_NAME; null when it has none.</param>
/// <param name="Kernel">Version of the kernel.</param>
internal sealed record SystemFacts(string Version, string? Title, string Kernel)
{
    public static SystemFacts Of(RootfsFacts rootfs, DeployContent deploy, ModuleSet? modules) => new(
        rootfs.OsRelease("VERSION_ID") ?? deploy.TestData["DISTRO_VERSION"] ?? "unknown",
        rootfs.OsRelease("PRETTY_NAME"),
        deploy.KernelFacts.Version ?? modules?.Version ?? "unknown");
}

/// <summary>All that is known of the inputs when a whole image is planned.</summary>
internal sealed record PlanInputs : BootInputs
{
    public required RootfsFacts Rootfs { get; init; }

    /// <summary>The kernel's modules; null when it has none.</summary>
    public ModuleSet? Modules { get; init; }

    /// <summary>Link that makes the supervisor's interpreter path work, and its target.</summary>
    public (string Path, string Target)? InterpreterLink { get; init; }
}
