using System.Text;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Compression;
using OsBuild.Images.Cpio;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>What goes into the initramfs that the builder makes.</summary>
internal sealed record InitramfsContent
{
    /// <summary>The supervisor's interpreter and libraries.</summary>
    public required IReadOnlyList<LibraryFile> Libraries { get; init; }

    /// <summary>Kernel version of the modules.</summary>
    public required string KernelVersion { get; init; }

    /// <summary>Modules in load order, decompressed, by path below lib/modules/VERSION.</summary>
    public required IReadOnlyList<(string Path, byte[] Content)> Modules { get; init; }

    /// <summary>PRETTY_NAME of etc/initrd-release.</summary>
    public required string Name { get; init; }

    /// <summary>Time stamp of everything in it.</summary>
    public required long Time { get; init; }
}

/// <summary>Makes the initramfs: the supervisor as /init and just the kernel modules that stand between the kernel and its root. It is two
/// archives, one behind the other, as the kernel reads them (Documentation/driver-api/early-userspace/buffer-format.rst), each a frame of its
/// own: the first, which is nearly all, depends on the supervisor alone and is made while the root file system is read.</summary>
internal static class InitramfsMaker
{
    // The supervisor is most of it: level 3 takes twice as long for a fifteenth less.
    private const int Level = 1;
    private const int Directory = 0x1ED, Program = 0x1ED, Plain = 0x1A4;

    /// <summary>The first archive: /init. The second goes behind it, into the same memory.</summary>
    public static MemoryStream Supervisor(InputFile supervisor, long time)
    {
        // About half, and room for what comes behind it: memory that has to grow is there twice.
        var packed = new MemoryStream((int)(supervisor.Size / 2) + (3 << 20));
        Pack([(new() { Path = "init", Kind = NodeKind.File, Mode = Program, ModifiedAt = time, Size = supervisor.Size }, () => supervisor.Open())], packed);
        return packed;
    }

    /// <summary>The second archive: everything else. It is written behind what is there.</summary>
    public static void Rest(InitramfsContent content, MemoryStream packed) => Pack(Entries(content), packed);

    // As a stream: the root is being written meanwhile, and both must not need the memory of the whole archive.
    private static void Pack(IEnumerable<(Node Node, Func<Stream> Open)> entries, MemoryStream packed)
    {
        using var encoder = Codecs.OpenOneZstdFrame(packed, Level);
        var cpio = new CpioWriter(encoder);
        foreach (var (node, open) in entries)
        {
            using var bytes = open();
            cpio.Add(node, bytes);
        }

        cpio.Finish();
    }

    /// <summary>Everything in the second, parents before children, in an order that depends on nothing but the names.</summary>
    internal static IEnumerable<(Node Node, Func<Stream> Open)> Entries(InitramfsContent content)
    {
        var files = new SortedDictionary<string, (Node Node, Func<Stream> Open)>(StringComparer.Ordinal);
        void Put(string path, long size, int mode, Func<Stream> open) =>
            files[path] = (new() { Path = path, Kind = NodeKind.File, Mode = mode, ModifiedAt = content.Time, Size = size }, open);
        void File(string path, byte[] bytes, int mode) => Put(path, bytes.Length, mode, () => new MemoryStream(bytes, writable: false));

        File("etc/initrd-release", Encoding.UTF8.GetBytes($"ID=osbuild-initramfs\nPRETTY_NAME=\"{content.Name}\"\n"), Plain);
        foreach (var library in content.Libraries) File(library.Path, library.Content, Program);
        var modules = $"lib/modules/{content.KernelVersion}/";
        foreach (var (path, bytes) in content.Modules) File(modules + path, bytes, Plain);
        File("etc/modules.load", Encoding.UTF8.GetBytes(string.Concat(content.Modules.Select(m => $"{modules}{m.Path}\n"))), Plain);
        foreach (var (name, major, minor, mode) in DeviceNodes.Static)
            files["dev/" + name] = (new() { Path = "dev/" + name, Kind = NodeKind.CharDevice, Mode = mode, Major = major, Minor = minor, ModifiedAt = content.Time }, () => Stream.Null);

        string[] empty = ["proc", "sys", "run", "sysroot", "tmp"];
        foreach (var directory in files.Keys.SelectMany(Parents).Concat(empty).Distinct().ToList())
            files[directory] = (new() { Path = directory, Kind = NodeKind.Directory, Mode = Directory, ModifiedAt = content.Time }, () => Stream.Null);
        return files.Values;
    }

    private static IEnumerable<string> Parents(string path)
    {
        for (var slash = path.IndexOf('/'); slash > 0; slash = path.IndexOf('/', slash + 1)) yield return path[..slash];
    }
}
