using OsBuild.Images.Fat;

namespace OsBuild.Tests.Images.Fat;

/// <summary>FAT volumes that many tests start from.</summary>
internal static class Volumes
{
    public const long MiB = 1L << 20;
    public const long Time = 1302044400;

    public static FatOptions Options(FatKind kind, long size, int sectorSize = 512, string label = "boot") =>
        new() { Size = size, Kind = kind, Label = label, VolumeId = 0x1234ABCD, CreatedAt = Time, SectorSize = sectorSize };

    /// <summary>The smallest handy size of each kind.</summary>
    public static long SmallSize(FatKind kind) => kind switch { FatKind.Fat12 => MiB, FatKind.Fat16 => 16 * MiB, _ => 40 * MiB };

    /// <summary>Sizes around the one that has that many clusters of 512 bytes.</summary>
    public static long SizeNear(FatKind kind, uint clusters, int step) => (clusters + (kind == FatKind.Fat32 ? 32 : 33) + (2 * (clusters * (long)kind / 8 / 512)) - 2 + step) * 512;

    public static Dictionary<string, byte[]> Tree() => new()
    {
        ["config.yaml"] = "hostname: test\n"u8.ToArray(),
        ["EFI/BOOT/BOOTX64.EFI"] = Bytes(1, 70_000),
        ["loader/entries/slot-a.conf"] = "title a\n"u8.ToArray(),
        ["loader/loader.conf"] = [],
        ["slot-a/a name that is long, with äöü and 日本.initramfs"] = Bytes(2, 5000),
        ["slot-a/README.TXT"] = Bytes(3, 1),
        ["zeros.bin"] = new byte[20_000],
    };

    public static SparseStream Written(FatOptions options, IReadOnlyDictionary<string, byte[]> files)
    {
        var stream = new SparseStream(options.Size);
        var writer = new FatWriter(stream, FatLayout.For(options));
        foreach (var (path, content) in files) writer.AddFile(path, content.Length, new MemoryStream(content));
        writer.Finish();
        return stream;
    }

    public static byte[] Bytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Every file of a volume with its content.</summary>
    public static Dictionary<string, byte[]> ReadAll(Stream volume)
    {
        var reader = new FatReader(volume);
        var files = new Dictionary<string, byte[]>();
        var pending = new Queue<string>([""]);
        while (pending.TryDequeue(out var directory))
        {
            foreach (var node in reader.List(directory))
            {
                if (node.Kind == OsBuild.Images.Trees.NodeKind.Directory)
                {
                    pending.Enqueue(node.Path);
                    continue;
                }

                using var stream = reader.Open(node.Path);
                using var copy = new MemoryStream();
                stream.CopyTo(copy);
                files[node.Path] = copy.ToArray();
            }
        }

        return files;
    }

    public static void AssertSame(IReadOnlyDictionary<string, byte[]> expected, IReadOnlyDictionary<string, byte[]> actual)
    {
        Assert.Equal(expected.Keys.Order(), actual.Keys.Order());
        foreach (var (path, content) in expected) Assert.True(content.AsSpan().SequenceEqual(actual[path]), path);
    }
}
