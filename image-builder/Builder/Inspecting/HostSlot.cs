using System.Text;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>A file of a slot as a host image has it.</summary>
/// <param name="Path">Its path there.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="IsText">True when the device fills in words.</param>
/// <param name="Open">Opens it; the reader disposes it.</param>
internal sealed record SlotFile(string Path, long Size, bool IsText, Func<Stream> Open);

/// <summary>Slot a of an image, as the other slot of a device could be filled with it: the root's bytes, the slot's files and what the loader reads.</summary>
internal sealed record HostSlot
{
    public required DeviceRecord Record { get; init; }

    /// <summary>Processor in the words of container images: amd64 or arm64.</summary>
    public required string Architecture { get; init; }

    /// <summary>Format of the root's file system: squashfs, ext4.</summary>
    public required string RootFormat { get; init; }

    /// <summary>The root's file system, whole, filled up to 4096 bytes.</summary>
    public required Stream Root { get; init; }

    /// <summary>Everything else, by path.</summary>
    public required IReadOnlyList<SlotFile> Files { get; init; }

    private const int Block = 4096;
    private const string FolderA = BootText.Slot + "/";

    /// <summary>By the scheme of the slots: the texts of a slot, where they lie in an image, and where in a host image.</summary>
    private static readonly Dictionary<SlotScheme, (string From, string To)[]> Texts = new()
    {
        [SlotScheme.SystemdBootCounter] = [($"loader/entries/{BootText.Slot}.conf", "loader/entry.conf")],
        [SlotScheme.GrubEnv] = [($"{FolderA}grub.cfg", "slot/grub.cfg")],
        [SlotScheme.UBootBootcount] = [($"{FolderA}boot.env", "slot/boot.env")],
        [SlotScheme.RpiTryboot] = [($"{FolderA}cmdline.txt", "slot/cmdline.txt"), ("config.txt", "loader/config.txt")],
    };

    /// <summary>The texts of a slot: where they lie in an image, and where in a host image; null when the slots cannot be updated in this scheme.</summary>
    /// <param name="scheme">A scheme in the words of board files.</param>
    public static IReadOnlyList<(string From, string To)>? TextsOf(string scheme) => Words.Scheme.Find(scheme) is { } known ? Texts.GetValueOrDefault(known) : null;

    /// <summary>Reads slot a of an image.</summary>
    /// <param name="image">The image; what is returned reads from it.</param>
    /// <param name="path">Its name, for messages.</param>
    /// <exception cref="RefusedException">It has no slot that another could be filled with; all that is wrong is named.</exception>
    /// <exception cref="ImageException">A file system in it is damaged.</exception>
    public static HostSlot Of(OpenImage image, string path)
    {
        if (DeviceRecord.Find(image) is not var (boot, record)) throw new RefusedException($"{path} has no boot partition with an image.json; it is not an image of this builder.");
        if (record.Scheme is null) throw new RefusedException($"{path} was made by image-builder {record.Builder}, which did not tell the device how its loader chooses a slot; build it again.");
        if (TextsOf(record.Scheme) is not { } texts)
            throw new RefusedException($"Board {record.Board} has no way back from a bad update that a device can use (its slots are \"{record.Scheme}\"), so its host is not updated in place; write the image onto its disk.");
        var problems = new Problems();
        var root = ReadRoot(image, record, path, problems);
        var files = ReadFiles(boot, texts, record, path, problems);
        problems.ThrowIfAny();
        return new()
        {
            Record = record,
            Architecture = root!.Value.Architecture,
            RootFormat = root.Value.FileSystem.Format,
            Root = root.Value.Content,
            Files = files,
        };
    }

    private static (IFileSystem FileSystem, string Architecture, Stream Content)? ReadRoot(OpenImage image, DeviceRecord record, string path, Problems problems)
    {
        var name = record.RootA.Name;
        // Not by name: an MBR has none.
        if (image.Partitions.FirstOrDefault(p => string.Equals(p.Entry.Id, record.RootA.PartUuid, StringComparison.OrdinalIgnoreCase)) is not { } partition)
        {
            problems.Add($"{path} has no partition {name} with the id {record.RootA.PartUuid} that its image.json names; build it again.");
            return null;
        }

        if (partition.FileSystem is not { } fileSystem)
        {
            problems.Add($"Partition {name} of {path} {partition.Problem ?? (partition.LooksEmpty ? "is empty" : "holds no file system that can be read")}; build the image again.");
            return null;
        }

        var size = (fileSystem.Size + Block - 1) / Block * Block;
        if (fileSystem.Size <= 0 || size > partition.Entry.Size)
        {
            problems.Add($"The {fileSystem.Format} in partition {name} of {path} takes {fileSystem.Size} bytes, the partition has {partition.Entry.Size}; build the image again.");
            return null;
        }

        if (ArchitectureOf(fileSystem) is { } architecture) return (fileSystem, architecture, new SubStream(partition.Content, 0, size));
        problems.Add($"Partition {name} of {path} has no supervisor for a processor that a board has (/{RootEntries.SupervisorPath}); build the image again.");
        return null;
    }

    private static string? ArchitectureOf(IFileSystem root)
    {
        if (Paths.Follow(root, RootEntries.SupervisorPath) is not { Kind: NodeKind.File } node) return null;
        using var content = root.Open(node.Path);
        Span<byte> head = stackalloc byte[64];
        return MachineCode.OfElf(head[..content.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)]) switch
        {
            MachineCode.X8664 => "amd64",
            MachineCode.Aarch64 => "arm64",
            _ => null,
        };
    }

    private static List<SlotFile> ReadFiles(IFileSystem boot, IReadOnlyList<(string From, string To)> texts, DeviceRecord record, string path, Problems problems)
    {
        var files = new List<SlotFile>();
        foreach (var (from, to) in texts)
        {
            if (Paths.Text(boot, from) is not { } text)
            {
                problems.Add($"{path} has no {from}, without which the loader of board {record.Board} cannot choose this slot; build the image again.");
                continue;
            }

            if (SlotText.Template(to, text, new(record.RootA.PartUuid, record.RootA.Name, record.RootB), problems) is not { } template) continue;
            var bytes = Encoding.UTF8.GetBytes(template);
            files.Add(new(to, bytes.Length, true, () => new MemoryStream(bytes, writable: false)));
        }

        var others = boot.Find(BootText.Slot) is { Kind: NodeKind.Directory } ? Paths.Walk(boot, BootText.Slot).Where(n => n.Kind == NodeKind.File && texts.All(t => t.From != n.Path)) : [];
        foreach (var node in others)
        {
            var to = "slot/" + node.Path[FolderA.Length..];
            if (!UstarHeader.Fits(to)) problems.Add($"{node.Path} of {path} has too long a name for a host image; give the file a shorter one and build the image again.");
            files.Add(new(to, node.Size, false, () => boot.Open(node.Path)));
        }

        if (files.All(f => f.IsText) && !problems.Any) problems.Add($"{path} has no kernel in {FolderA}; build the image again.");
        return [.. files.OrderBy(f => f.Path, StringComparer.Ordinal)];
    }
}
