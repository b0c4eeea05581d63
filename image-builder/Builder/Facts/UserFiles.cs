namespace OsBuild.ImageBuilder.Facts;

/// <summary>The files a user adds to a deploy directory.</summary>
internal sealed record UserFiles
{
    public InputFile? Supervisor { get; init; }
    public InputFile? Compose { get; init; }
    public InputFile? Config { get; init; }

    /// <summary>Container image archives and their names in <c>apps/</c>.</summary>
    public IReadOnlyList<PlacedFile> Apps { get; init; } = [];
}
