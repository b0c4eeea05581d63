using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.Tests.Builder;

/// <summary>A small deploy directory for qemux86-64 in scarthgap's naming, sound in every part; tests break one thing at a time.</summary>
internal sealed class DeployFixture : IDisposable
{
    public const string Version = "6.6.23-yocto-standard", Stamp = "20260401120000", Machine = "qemux86-64", Image = "core-image-minimal";
    public const string Rootfs = $"{Image}-{Machine}.rootfs-{Stamp}.tar.zst", RootfsLink = $"{Image}-{Machine}.rootfs.tar.zst";
    public const string TestData = $"{Image}-{Machine}.rootfs-{Stamp}.testdata.json", Manifest = $"{Image}-{Machine}.rootfs-{Stamp}.manifest";
    public const string Kernel = $"bzImage--6.6.23+git0+abc-r0-{Machine}-{Stamp}.bin", Modules = $"modules--6.6.23+git0+abc-r0-{Machine}-{Stamp}.tgz";
    public const string Loader = "systemd-bootx64.efi";

    public DeployFixture(bool modules = true)
    {
        System.IO.Directory.CreateDirectory(Directory);
        System.IO.Directory.CreateDirectory(Output);
        Write(Rootfs, SmallRoot().Zstd());
        Link(RootfsLink, Rootfs);
        WriteText(TestData, TestDataText());
        Link($"{Image}-{Machine}.rootfs.testdata.json", TestData);
        WriteText(Manifest, "base-files qemux86_64 3.0.14\nbusybox core2-64 1.36.1\n");
        Link($"{Image}-{Machine}.rootfs.manifest", Manifest);
        Write(Kernel, Binaries.BzImage(Version));
        Link("bzImage", Kernel);
        Link($"bzImage-{Machine}.bin", Kernel);
        Write(Loader, Binaries.Pe(0x8664));
        if (modules)
        {
            Write(Modules, SmallModules().Gzip());
            Link($"modules-{Machine}.tgz", Modules);
        }

        File.WriteAllBytes(Supervisor, Binaries.Elf(Binaries.X8664, "/lib64/ld-linux-x86-64.so.2", "libc.so.6"));
    }

    public string Home { get; } = System.IO.Directory.CreateTempSubdirectory("osbuild-builder-").FullName;

    public string Directory => Path.Combine(Home, "deploy");

    public string Output => Path.Combine(Home, "out");

    public string Supervisor => Path.Combine(Home, "supervisor");

    public static Archive SmallRoot() => new Archive()
        .Directory("").Directory("bin").Directory("etc").Directory("lib").Directory("usr").Directory("usr/bin").Directory("usr/lib")
        .File("bin/busybox", Binaries.Elf(Binaries.X8664, "/lib/ld-linux-x86-64.so.2", "libc.so.6"), 0x9ED)
        .Link("bin/sh", "busybox")
        .File("etc/os-release", "ID=poky\nPRETTY_NAME=\"Poky 5.0.7 (scarthgap)\"\nVERSION_ID=5.0.7\n")
        .File("lib/ld-linux-x86-64.so.2", Binaries.Elf(Binaries.X8664), 0x1ED)
        .File("lib/libc.so.6", Binaries.Elf(Binaries.X8664, null, "ld-linux-x86-64.so.2"), 0x1ED);

    public static Archive SmallModules(string version = Version) => new Archive()
        .Directory("lib").Directory("lib/modules").Directory($"lib/modules/{version}")
        .File($"lib/modules/{version}/kernel/drivers/block/virtio_blk.ko", "virtio_blk module")
        .File($"lib/modules/{version}/kernel/drivers/virtio/virtio.ko", "virtio module")
        .File($"lib/modules/{version}/kernel/drivers/virtio/virtio_pci.ko.gz", Archive.Encode("virtio_pci module"u8.ToArray(), OsBuild.Images.Compression.Codec.Gzip))
        .File($"lib/modules/{version}/modules.builtin", "kernel/fs/ext4/ext4.ko\n")
        .File($"lib/modules/{version}/modules.dep",
            "kernel/drivers/virtio/virtio.ko:\nkernel/drivers/virtio/virtio_pci.ko.gz: kernel/drivers/virtio/virtio.ko\nkernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko\n");

    public static string TestDataText(string machine = Machine, string arch = "x86_64") =>
        $$"""{ "MACHINE": "{{machine}}", "TARGET_ARCH": "{{arch}}", "DISTRO_VERSION": "5.0.7", "IMAGE_BASENAME": "{{Image}}", "REPRODUCIBLE_TIMESTAMP_ROOTFS": "1711929600" }""";

    public static Board Board(string name = Machine) => BoardCatalog.Find(name).Board!;

    /// <summary>The board with partitions as small as they can be: hashing empty slots takes a second each.</summary>
    public static Board SmallBoard() => Board() with
    {
        Partitions = [.. Board().Partitions.Select(p => p with { Size = p.Role switch { PartitionRole.Boot => 36 << 20, PartitionRole.State => 12 << 20, PartitionRole.Data => 12 << 20, _ => 8 << 20 } })],
    };

    public BuildRequest Request => new() { Board = Board(), Deploy = Directory, Output = Output, Supervisor = Supervisor, BuilderVersion = "test" };

    /// <summary>A request that loads an archive with this content.</summary>
    public BuildRequest WithLoad(byte[] archive)
    {
        var path = Path.Combine(Home, "app.tar");
        File.WriteAllBytes(path, archive);
        return Request with { Load = [path] };
    }

    public string At(string name) => Path.Combine(Directory, name);

    public void Write(string name, byte[] content)
    {
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(At(name))!);
        File.Delete(At(name));
        File.WriteAllBytes(At(name), content);
    }

    public void WriteText(string name, string content) => Write(name, System.Text.Encoding.UTF8.GetBytes(content));

    public void Link(string name, string target)
    {
        File.Delete(At(name));
        File.CreateSymbolicLink(At(name), target);
    }

    public void Delete(params string[] names)
    {
        foreach (var name in names) File.Delete(At(name));
    }

    /// <summary>Gives a file another name, with another link to it in place of the old one.</summary>
    public void Rename(string from, string to, string link, string oldLink)
    {
        File.Move(At(from), At(to));
        File.Delete(At(oldLink));
        Link(link, to);
    }

    public void Cut(string name, int bytes)
    {
        using var file = File.OpenWrite(At(name));
        file.SetLength(file.Length - bytes);
    }

    /// <summary>What is said of the job, with this machine's folders taken out of it; empty when it is planned, or made.</summary>
    public IReadOnlyList<string> Refusal(BuildRequest? request = null, bool make = false)
    {
        try
        {
            if (make) BuildJob.Run(request ?? Request, Progress.Silent, CancellationToken.None);
            else Preparation.Plan(request ?? Request, Progress.Silent, CancellationToken.None);
            return [];
        }
        catch (RefusedException e)
        {
            return [.. e.Sentences.Select(s => s.Replace(Home + "/", "", StringComparison.Ordinal).Replace(Home, "HOME", StringComparison.Ordinal))];
        }
    }

    public void Dispose() => System.IO.Directory.Delete(Home, recursive: true);
}
