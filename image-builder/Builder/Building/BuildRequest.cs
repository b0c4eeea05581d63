using OsBuild.ImageBuilder.Boards;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Building;

/// <summary>What the user asked for. Everything that could differ between two runs is in here.</summary>
internal sealed record BuildRequest
{
    public required Board Board { get; init; }

    /// <summary>The deploy directory.</summary>
    public required string Deploy { get; init; }

    public string Output { get; init; } = ".";

    /// <summary>IMAGE_BASENAME, when the directory holds several.</summary>
    public string? Image { get; init; }

    /// <summary>The supervisor binary; null for the one beside this program.</summary>
    public string? Supervisor { get; init; }

    public string? Compose { get; init; }
    public string? Config { get; init; }
    public IReadOnlyList<string> Load { get; init; } = [];
    public Codec Compress { get; init; } = Codec.None;

    /// <summary>The root's file system, when it is not the board's own choice; <see cref="Board"/> has it already.</summary>
    public FileSystemKind? Rootfs { get; init; }

    /// <summary>The address the image will be fetched from, for an entry of Raspberry Pi Imager's list; null for none.</summary>
    public string? OsList { get; init; }

    /// <summary>SOURCE_DATE_EPOCH, or null for the time that bitbake gave the root file system.</summary>
    public long? SourceDateEpoch { get; init; }

    /// <summary>Plan only: nothing is written, not even looked at whether it could be.</summary>
    public bool PlanOnly { get; init; }

    public required string BuilderVersion { get; init; }
}
