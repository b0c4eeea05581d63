namespace OsBuild.ImageBuilder.Inputs;

/// <summary>The parts of a name that bitbake gives to an image artifact. Two forms are in use:
/// <c>IMAGE-MACHINE-STAMP.rootfs.TYPE</c> with the link <c>IMAGE-MACHINE.TYPE</c> up to mickledore 4.2, and
/// <c>IMAGE-MACHINE.rootfs-STAMP.TYPE</c> with the link <c>IMAGE-MACHINE.rootfs.TYPE</c> from nanbield 4.3 on
/// (IMAGE_NAME and IMAGE_LINK_NAME in image-artifact-names.bbclass).</summary>
/// <param name="Image">IMAGE_BASENAME.</param>
/// <param name="Machine">MACHINE, or null when the name does not end in one that was asked for.</param>
/// <param name="Stamp">DATETIME or another version suffix; the empty string on links.</param>
/// <param name="Type">The ending, such as <c>tar.zst</c>.</param>
internal sealed record YoctoName(string Image, string? Machine, string Stamp, string Type)
{
    /// <summary>Forms of a root file system that the builder can take, best first: what decodes fastest, then what needs no decoding.</summary>
    public static readonly IReadOnlyList<string> RootfsTypes =
        ["tar.zst", "tar", "tar.gz", "tar.xz", "tar.bz2", "ext4", "squashfs-zst", "squashfs", "squashfs-xz"];

    private static readonly string[] OtherTypes = ["manifest", "testdata.json", "spdx.json", "spdx.tar.zst"];

    /// <summary>Reads a name; null when it does not end in a type of an image artifact.</summary>
    public static YoctoName? Parse(string name, IEnumerable<string> machines)
    {
        if (name.Contains('/')) return null;
        var type = RootfsTypes.Concat(OtherTypes).Where(t => name.EndsWith("." + t, StringComparison.Ordinal)).MaxBy(t => t.Length);
        if (type is null) return null;
        var stem = name[..^(type.Length + 1)];
        var stamp = "";
        if (stem.LastIndexOf(".rootfs", StringComparison.Ordinal) is var at and > 0)
        {
            stamp = stem[(at + ".rootfs".Length)..].TrimStart('-');
            stem = stem[..at];
        }

        if (stamp.Length == 0 && DateTimeSuffix(stem) is { } suffix)
        {
            stamp = suffix;
            stem = stem[..^(suffix.Length + 1)];
        }

        // The longest machine wins: raspberrypi4-64 before a board that also takes 64.
        foreach (var machine in machines.OrderByDescending(m => m.Length))
        {
            if (stem.EndsWith("-" + machine, StringComparison.Ordinal))
                return new(stem[..^(machine.Length + 1)], machine, stamp, type);
            // IMAGE_VERSION_SUFFIX may be anything: IMAGE-MACHINE-1.4.2.
            if (stem.IndexOf($"-{machine}-", StringComparison.Ordinal) is var middle and > 0)
                return new(stem[..middle], machine, stem[(middle + machine.Length + 2)..], type);
        }

        return new(stem, null, stamp, type);
    }

    private static string? DateTimeSuffix(string stem) =>
        stem.Length > 15 && stem[^15] == '-' && stem[^14..].All(char.IsAsciiDigit) ? stem[^14..] : null;
}
