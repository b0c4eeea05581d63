namespace OsBuild.ImageBuilder.Facts;

/// <summary>The artifacts of a deploy directory that a board wants, found and looked at.</summary>
internal sealed record DeployContent
{
    public required string Directory { get; init; }

    /// <summary>IMAGE_BASENAME.</summary>
    public required string Image { get; init; }

    public required string Machine { get; init; }
    public required InputFile Rootfs { get; init; }

    /// <summary>The root file system's form: <c>tar.zst</c>.</summary>
    public required string RootfsType { get; init; }

    public required TestData TestData { get; init; }
    public IReadOnlyList<Package> Packages { get; init; } = [];
    public required InputFile Kernel { get; init; }
    public required KernelFacts KernelFacts { get; init; }
    public InputFile? Modules { get; init; }
    public InputFile? Initramfs { get; init; }
    public InputFile? Microcode { get; init; }
    public PlacedFile? Loader { get; init; }
    public IReadOnlyList<PlacedFile> DeviceTrees { get; init; } = [];
    public IReadOnlyList<PlacedFile> Overlays { get; init; } = [];
    public IReadOnlyList<PlacedFile> BootFiles { get; init; } = [];

    /// <summary>What the Yocto build puts onto its own boot partition (IMAGE_BOOT_FILES).</summary>
    public IReadOnlyList<PlacedFile> YoctoBootFiles { get; init; } = [];

    /// <summary>What is not quite as one might expect, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    public IReadOnlyList<PlacedBlob> Blobs { get; init; } = [];

    /// <summary>The blobs that do not lie on the boot partition as files.</summary>
    public IEnumerable<PlacedBlob> RawBlobs => Blobs.Where(b => b.Blob.Place is not Boards.BlobPlace.InBootFile);

    /// <summary>Every file that goes into the image, for digests.</summary>
    public IEnumerable<InputFile> Files =>
    [
        Rootfs, Kernel, .. Optional(Modules), .. Optional(Initramfs), .. Optional(Microcode), .. Optional(Loader?.File),
        .. DeviceTrees.Select(p => p.File), .. Overlays.Select(p => p.File), .. BootFiles.Select(p => p.File), .. YoctoBootFiles.Select(p => p.File), .. Blobs.Select(p => p.File),
    ];

    private static IEnumerable<InputFile> Optional(InputFile? file) => file is null ? [] : [file];
}
