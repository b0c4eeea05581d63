namespace OsBuild.Images.Metadata;

/// <summary>What a part of an image is.</summary>
public enum BomKind
{
    /// <summary>A package of the root file system.</summary>
    Package,

    /// <summary>A program that was added, such as the supervisor.</summary>
    Program,

    /// <summary>A boot loader, kernel, device tree or firmware.</summary>
    Firmware,

    /// <summary>A container image that was loaded.</summary>
    Container,

    /// <summary>A single file.</summary>
    File,
}

/// <summary>One part of an image.</summary>
public sealed record BomPart
{
    /// <summary>What it is.</summary>
    public required BomKind Kind { get; init; }

    /// <summary>Its name: the package's, or the file's.</summary>
    public required string Name { get; init; }

    /// <summary>Its version, when it has one.</summary>
    public string? Version { get; init; }

    /// <summary>The architecture it was made for, as its maker calls it.</summary>
    public string? Architecture { get; init; }

    /// <summary>SHA-256 of its bytes in hexadecimal, when they are one file.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Its licence as an SPDX expression, when known.</summary>
    public string? License { get; init; }
}

/// <summary>All that is in an image. The same parts give the same bytes, in whatever order they came.</summary>
public sealed record BillOfMaterials
{
    /// <summary>Name of the image.</summary>
    public required string Image { get; init; }

    /// <summary>Version of the image.</summary>
    public string? Version { get; init; }

    /// <summary>SHA-256 of the image in hexadecimal, when it is known.</summary>
    public string? Sha256 { get; init; }

    /// <summary>The time of the image (not of now), in seconds since 1970.</summary>
    public required long Time { get; init; }

    /// <summary>Name and version of the program that made the image.</summary>
    public required (string Name, string Version) Tool { get; init; }

    /// <summary>The parts.</summary>
    public required IReadOnlyList<BomPart> Parts { get; init; }
}
