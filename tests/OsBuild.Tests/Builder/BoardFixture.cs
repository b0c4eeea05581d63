using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Builder;

/// <summary>A deploy directory with everything that a board's file names: small files with the right headers.</summary>
internal sealed class BoardFixture : IDisposable
{
    public const string Version = "6.6.23-yocto-standard", Image = "core-image-minimal";

    public BoardFixture(Board board)
    {
        Board = board with { Partitions = [.. board.Partitions.Select(Shrink)] };
        var arm = board.Arch == BoardArch.Aarch64;
        var elf = arm ? Binaries.Aarch64 : Binaries.X8664;
        var (interpreter, machine) = (arm ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2", board.Machines[0]);
        using var root = new Archive()
            .Directory("lib").File("lib/" + Path.GetFileName(interpreter), Binaries.Elf(elf), 0x1ED).File("lib/libc.so.6", Binaries.Elf(elf), 0x1ED);
        Write($"{Image}-{machine}.rootfs.tar.zst", root.Zstd());
        Write(Concrete(board.Artifacts.Kernel.Files[0]), Kernel(board.Artifacts.Kernel.Type));
        if (board.Boot.LoaderFile is { } loader) Write(Concrete(loader.Files[0]), board.Boot.Flow == BootFlow.Uefi ? Binaries.Pe((ushort)(arm ? 0xAA64 : 0x8664)) : new byte[512]);
        foreach (var tree in board.Artifacts.DeviceTrees.Concat(board.Artifacts.Overlays)) Write(Concrete(tree.Files[0]), Binaries.DeviceTree());
        if (board.Artifacts.Microcode is { } microcode) Write(Concrete(microcode.Files[0]), new byte[512]);
        foreach (var file in board.BootFiles) Write(Concrete(file.Source), new byte[100]);
        var variants = new HashSet<BlobPlace>();
        foreach (var blob in board.Firmware)
            if (blob.Variant is null || variants.Add(blob.Place)) Write(Concrete(blob.Files[0]), BlobBytes(blob));
        File.WriteAllBytes(Supervisor, Binaries.Elf(elf, interpreter, "libc.so.6"));
    }

    public Board Board { get; }

    public string Home { get; } = Directory.CreateTempSubdirectory("osbuild-board-").FullName;

    public string Supervisor => Path.Combine(Home, "supervisor");

    public BuildRequest Request => new() { Board = Board, Deploy = Path.Combine(Home, "deploy"), Output = Path.Combine(Home, "out"), Supervisor = Supervisor, BuilderVersion = "test" };

    /// <summary>Bytes that tell where they came from: enough to reach past what a boot ROM spares.</summary>
    public static byte[] BlobBytes(Blob blob) => [.. Enumerable.Range(0, 2048).Select(i => (byte)(1 + ((i + blob.Files[0].Length) % 251)))];

    /// <summary>A name that a glob stands for.</summary>
    public static string Concrete(string pattern) => pattern.Replace("*", "x", StringComparison.Ordinal).Replace("?", "x", StringComparison.Ordinal);

    private static BoardPartition Shrink(BoardPartition p) => p.Role switch
    {
        PartitionRole.Boot => p with { Size = 40 << 20 },
        PartitionRole.RootA or PartitionRole.RootB => p with { Size = 8 << 20 },
        PartitionRole.State or PartitionRole.Data => p with { Size = 12 << 20 },
        _ => p,
    };

    private static byte[] Kernel(KernelType type) => type switch
    {
        KernelType.BzImage => Binaries.BzImage(Version),
        KernelType.ImageGz => Archive.Encode(Binaries.Arm64Image(Version), Codec.Gzip),
        KernelType.FitImage => Binaries.DeviceTree(4096),
        KernelType.AndroidBootImage => [.. "ANDROID!"u8, .. new byte[4096]],
        _ => Binaries.Arm64Image(Version),
    };

    private void Write(string name, byte[] content)
    {
        var path = Path.Combine(Home, "deploy", name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
    }

    public void Dispose() => Directory.Delete(Home, recursive: true);
}
