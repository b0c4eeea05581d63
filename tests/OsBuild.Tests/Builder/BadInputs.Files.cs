using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.Images.Compression;
using OsBuild.Images.SquashFs;
using OsBuild.Images.Trees;
using static OsBuild.Tests.Builder.DeployFixture;

namespace OsBuild.Tests.Builder;

/// <content>Root file systems, other artifacts, and what the user adds.</content>
internal static partial class BadInputs
{
    private static byte[] Squashed()
    {
        var to = new MemoryStream();
        using var writer = new SquashFsWriter(to, new SquashFsOptions { Level = 1 });
        var noise = new byte[20_000];
        new Random(2).NextBytes(noise);
        writer.Add(new Node { Path = "noise", Kind = NodeKind.File, Mode = 0x1A4, Size = noise.Length }, new MemoryStream(noise));
        writer.Finish();
        return to.ToArray();
    }

    // bytes_used of the superblock: without the padding to 4 KiB.
    private static long SquashedSize => BitConverter.ToInt64(Squashed(), 40);

    private const string RootfsName = $"{Image}-{Machine}.rootfs.tar.zst";

    private static IEnumerable<(string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences)> RootFileSystems() =>
    [
        Case("no root file system", f => f.Delete(Rootfs, RootfsName),
            $"The deploy directory deploy has no root file system (IMAGE-{Machine}.rootfs.tar.zst or another tar); add tar.zst to IMAGE_FSTYPES and build again."),
        Case("only an initramfs image", f =>
            {
                f.Delete(Rootfs, RootfsName);
                f.Write($"core-image-minimal-initramfs-{Machine}.tar.zst", [1]);
            },
            $"The deploy directory deploy has no root file system (IMAGE-{Machine}.rootfs.tar.zst or another tar); add tar.zst to IMAGE_FSTYPES and build again."),
        Case("a dangling root file system", f => f.Delete(Rootfs),
            $"{RootfsName} is a link to {Rootfs}, which is not there; copy the deploy directory whole, or with cp -L, or build the image again."),
        Case("an empty root file system", f => f.Write(Rootfs, []),
            $"{RootfsName} is empty; the build or the copy that made it was cut short, make it again."),
        Case("a git-lfs pointer for a root file system", f => f.WriteText(Rootfs, LfsPointer),
            $"{RootfsName} is a git-lfs pointer, not the file itself (13.5 MiB); run git lfs pull where it was checked out."),
        Case("a root file system cut off", f => f.Write(Rootfs, Archive.Encode(new byte[9000], Codec.Zstd)[..20]),
            $"{RootfsName} is cut off: the end of the zstd data is missing after 20 bytes; copy it again."),
        Case("gzip under the name of zstd", f => f.Write(Rootfs, SmallRoot().Gzip()),
            $"{RootfsName} is not zstd inside, as its name says, but gzip; deploy the image again."),
        Case("a text under the name of zstd", f => f.WriteText(Rootfs, "404: Not Found"),
            $"{RootfsName} is not zstd inside, as its name says, but plain; deploy the image again."),
        Case("a plain tar cut off", f => Plain(f, new Archive().File("bin/a", Enumerable.Repeat((byte)7, 4096).ToArray()).Plain()[..4096]),
            $"{Image}-{Machine}.rootfs.tar is cut off: the end of the tar archive is missing after 4096 bytes; copy it again."),
        Case("a gzip tar cut off", f =>
            {
                f.Delete(Rootfs, RootfsName);
                f.Write($"{Image}-{Machine}.rootfs.tar.gz", SmallRoot().Gzip()[..^5]);
            },
            $"The root file system {Image}-{Machine}.rootfs.tar.gz cannot be read to its end (The gzip data ends too early: the file was cut off); copy it again."),
        Case("no squashfs under the name of squashfs", f =>
            {
                f.Delete(Rootfs, RootfsName);
                f.Write($"{Image}-{Machine}.rootfs.squashfs", new byte[4096]);
            },
            $"{Image}-{Machine}.rootfs.squashfs is not squashfs inside, as its name says; deploy the image again."),
        Case("a squashfs cut off", f =>
            {
                f.Delete(Rootfs, RootfsName);
                f.Write($"{Image}-{Machine}.rootfs.squashfs-zst", Squashed()[..4096]);
            },
            $"{Image}-{Machine}.rootfs.squashfs-zst is cut off: its header asks for {SquashedSize} bytes, the file has 4096; copy it again."),
        Case("a squashfs with a damaged table", f =>
            {
                f.Delete(Rootfs, RootfsName);
                var bytes = Squashed();
                // inode_table_start of the superblock: where nothing is.
                bytes.AsSpan(64, 8).Fill(0x7F);
                f.Write($"{Image}-{Machine}.rootfs.squashfs", bytes);
            },
            $"The root file system {Image}-{Machine}.rootfs.squashfs cannot be read to its end (The squashfs data is damaged (something is said to lie behind its end)); copy it again."),
        Case("no ext4 under the name of ext4", f =>
            {
                f.Delete(Rootfs, RootfsName);
                f.Write($"{Image}-{Machine}.rootfs.ext4", new byte[4096]);
            },
            $"{Image}-{Machine}.rootfs.ext4 is not ext4 inside, as its name says; deploy the image again."),
        Case("boot files of another form", f => f.WriteText(TestData, TestDataText().Replace("{ ", "{ \"IMAGE_BOOT_FILES\": \"a; ;b\", ", StringComparison.Ordinal)),
            "IMAGE_BOOT_FILES of the build has a;, which is not SOURCE or SOURCE;DEST; correct the machine's configuration and build the image again.",
            "IMAGE_BOOT_FILES of the build has ;b, which is not SOURCE or SOURCE;DEST; correct the machine's configuration and build the image again."),
        Case("a boot file that leads nowhere", f =>
            {
                f.WriteText(TestData, TestDataText().Replace("{ ", "{ \"IMAGE_BOOT_FILES\": \"logo.bmp\", ", StringComparison.Ordinal));
                f.Link("logo.bmp", "gone.bmp");
            },
            "logo.bmp is a link to gone.bmp, which is not there; copy the deploy directory whole, or with cp -L, or build the image again."),
        Case("no archive inside", f => f.Write(Rootfs, Archive.Encode(new byte[700], Codec.Zstd)),
            $"The root file system {RootfsName} is an empty archive; build the image again."),
        Case("an empty archive", f => f.Write(Rootfs, Archive.Encode(new byte[10240], Codec.Zstd)),
            $"The root file system {RootfsName} is an empty archive; build the image again."),
        Case("an arm64 root file system", f => f.Write(Rootfs, RootFor(Binaries.Elf(Binaries.Aarch64))),
            $"The root file system {RootfsName} is for 64-bit Arm (bin/busybox is), but board qemux86-64 is x86-64; give the image of one of its machines."),
        Case("a 32-bit root file system", f => f.Write(Rootfs, RootFor(Binaries.Elf32(Binaries.I386))),
            $"The root file system {RootfsName} is for 32-bit x86 (bin/busybox is), but board qemux86-64 is x86-64; give the image of one of its machines."),
        Case("a 32-bit Arm root file system", f => f.Write(Rootfs, RootFor(Binaries.Elf32(Binaries.Arm))),
            $"The root file system {RootfsName} is for 32-bit Arm (bin/busybox is), but board qemux86-64 is x86-64; give the image of one of its machines."),
        Case("a path that leads out of the tree", f => f.Write(Rootfs, new Archive().File("../etc/passwd", "x").Zstd()),
            $"The root file system {RootfsName} cannot be read to its end (The tar archive holds ./../etc/passwd, which leads out of its own tree); copy it again."),
        Case("a root file system without the supervisor's C library", f => f.Write(Rootfs, RootFor(Binaries.Elf(Binaries.X8664))),
            $"The supervisor needs /lib64/ld-linux-x86-64.so.2, which the root file system {RootfsName} does not have; build the image with glibc (TCLIBC) or give a supervisor made for its C library."),
        Ask("a root file system larger than its slot", f =>
            {
                f.Write(Rootfs, Large());
                return f.Request with { Board = WithSize(PartitionRole.RootA, 16 << 20) };
            },
            $"The root file system {RootfsName} needs 20.2 MiB, its slot has 14 MiB, short by 6.2 MiB; the largest files are usr/big4 8 MiB, usr/big3 6 MiB, usr/big2 4 MiB: build a smaller image or give board qemux86-64 larger slots."),
    ];

    private static IEnumerable<(string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences)> Others() =>
    [
        Case("no boot loader", f => f.Delete(Loader),
            "The boot loader systemd-bootx64.efi is not in the deploy directory deploy."),
        Case("the boot loader of another architecture's name", f =>
            {
                f.Delete(Loader);
                f.Write("systemd-bootia32.efi", Binaries.Pe(0x14C));
            },
            "The boot loader systemd-bootx64.efi is not in the deploy directory deploy; near it is systemd-bootia32.efi."),
        Case("a 32-bit boot loader", f => f.Write(Loader, Binaries.Pe(0x14C)),
            "The EFI program systemd-bootx64.efi is for 32-bit x86, but the board is x86-64; take the one that was built for this board."),
        Case("an arm64 boot loader", f => f.Write(Loader, Binaries.Pe(0xAA64)),
            "The EFI program systemd-bootx64.efi is for 64-bit Arm, but the board is x86-64; take the one that was built for this board."),
        Case("a boot loader cut off", f => f.Cut(Loader, 96),
            "The EFI program systemd-bootx64.efi is cut off: its sections end at byte 4096, the file has 4000; copy it again."),
        Case("a text for a boot loader", f => f.WriteText(Loader, "not found"),
            "systemd-bootx64.efi is not an EFI program (no PE header); deploy it again."),
        Case("a git-lfs pointer for a boot loader", f => f.WriteText(Loader, LfsPointer),
            "systemd-bootx64.efi is a git-lfs pointer, not the file itself (13.5 MiB); run git lfs pull where it was checked out."),
        Case("dangling modules", f => f.Delete(Modules),
            $"modules-{Machine}.tgz is a link to {Modules}, which is not there; copy the deploy directory whole, or with cp -L, or build the image again."),
        Case("modules of another kernel", f => f.Write(Modules, SmallModules("6.1.90-yocto-standard").Gzip()),
            $"The modules archive modules-{Machine}.tgz is for kernel 6.1.90-yocto-standard, but the kernel is {DeployFixture.Version}; deploy both from one build."),
        Case("modules cut off", f => f.Cut(Modules, 9),
            $"The modules archive modules-{Machine}.tgz cannot be read (The gzip data ends too early: the file was cut off); copy or deploy it again."),
        Case("modules without modules", f => f.Write(Modules, new Archive().File("README", "none").Gzip()),
            $"The modules archive modules-{Machine}.tgz has no lib/modules/VERSION in it; deploy the kernel again."),
        Case("a git-lfs pointer for modules", f => f.WriteText(Modules, LfsPointer),
            $"modules-{Machine}.tgz is a git-lfs pointer, not the file itself (13.5 MiB); run git lfs pull where it was checked out."),
    ];

    private static IEnumerable<(string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences)> Users() =>
    [
        Ask("no such supervisor", f => f.Request with { Supervisor = Path.Combine(f.Home, "supervisr") },
            "--supervisor supervisr does not exist; near it is supervisor."),
        Ask("a directory for a supervisor", f => f.Request with { Supervisor = f.Output },
            "--supervisor out is a directory, a file was expected."),
        Case("a script for a supervisor", f => File.WriteAllText(f.Supervisor, "#!/bin/sh\n"),
            "supervisor is not a Linux program (no ELF header); give the supervisor binary that ./build.sh publish made."),
        Case("a supervisor for arm64", f => File.WriteAllBytes(f.Supervisor, Binaries.Elf(Binaries.Aarch64)),
            "supervisor is a program for 64-bit Arm, but the board is x86-64; give the supervisor binary of that architecture."),
        Case("a 32-bit supervisor", f => File.WriteAllBytes(f.Supervisor, Binaries.Elf32(Binaries.I386)),
            "supervisor is a program for 32-bit x86, but the board is x86-64; give the supervisor binary of that architecture."),
        User("a compose file that is no YAML", "services: {web: [\n", r => r.Compose = "file",
            "file line 2, column 1 is not YAML (While parsing a node, did not find expected node content.); mend it first."),
        User("a compose file without services", "web: {image: nginx}\n", r => r.Compose = "file",
            "file has no services; write each container under a services: key."),
        User("a compose file that is a list", "- web\n", r => r.Compose = "file",
            "file is not one YAML mapping (key: value lines); see the example in the README."),
        User("an empty config", " \n", r => r.Config = "file",
            "file is not one YAML mapping (key: value lines); see the example in the README."),
        User("a config with tabs", "network:\n\twifi: x\n", r => r.Config = "file",
            "file line 1, column 1 is not YAML (While scanning a mapping, found invalid tab as indentation.); mend it first."),
        User("an archive that is no tar", "hello", r => r.Load = "file",
            "file cannot be read as a container image archive (The tar archive ends at byte 5, before its end mark); make it again with docker save."),
        Ask("an archive without a manifest", f => f.WithLoad(new Archive().File("layer.tar", "x").Plain()),
            "app.tar is not a container image archive (no manifest.json in it); make it with docker save."),
        Ask("an archive for another processor", f => f.WithLoad(AppArchive("arm64")),
            "app.tar holds shop:1 for arm64, but the board is x86-64; build or pull it with --platform linux/amd64."),
        Ask("two archives of one name", f => f.WithLoad(AppArchive("amd64")) with { Load = [Path.Combine(f.Home, "app.tar"), Path.Combine(f.Home, ".", "app.tar")] },
            "--load names two archives called app.tar; give them different names."),
        Ask("more containers than the boot partition holds", f => f.WithLoad(AppArchive("amd64", 36 << 20)) with { Board = WithSize(PartitionRole.Boot, 36 << 20) },
            "The boot partition needs 36 MiB, it has 35.4 MiB, short by 612 KiB; the largest files are apps/app.tar 36 MiB, slot-a/bzImage 10.5 KiB, EFI/BOOT/BOOTX64.EFI 4 KiB: give board qemux86-64 a larger boot partition or load fewer images."),
        Ask("a dangling link for a config", f =>
            {
                File.CreateSymbolicLink(Path.Combine(f.Home, "link.yaml"), "gone.yaml");
                return f.Request with { Config = Path.Combine(f.Home, "link.yaml") };
            },
            "--config link.yaml is a link to gone.yaml, which is not there."),
    ];

    private static byte[] RootFor(byte[] busybox) => new Archive().Directory("bin").File("bin/busybox", busybox, 0x1ED).Zstd();

    private static byte[] AppArchive(string arch, int layer = 16) => new Archive()
        .File("manifest.json", """[{"Config":"c.json","RepoTags":["shop:1"],"Layers":["layer.tar"]}]""")
        .File("c.json", $$"""{"architecture":"{{arch}}"}""")
        .File("layer.tar", new byte[layer]).Plain();

    private static byte[] Large()
    {
        var root = SmallRoot();
        for (var i = 1; i <= 4; i++) root.File($"usr/big{i}", new byte[i << 21]);
        return root.Zstd();
    }

    private static Board WithSize(PartitionRole role, long size) =>
        DeployFixture.Board() with { Partitions = [.. DeployFixture.Board().Partitions.Select(p => p.Role == role ? p with { Size = size } : p)] };

    private static void Plain(DeployFixture f, byte[] tar)
    {
        f.Delete(Rootfs, RootfsName);
        f.Write($"{Image}-{Machine}.rootfs.tar", tar);
    }

    private sealed class Option
    {
        public string? Compose { get; set; }
        public string? Config { get; set; }
        public string? Load { get; set; }
    }

    private static (string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences) User(string name, string text, Action<Option> choose, string sentence) => Ask(name, f =>
    {
        var path = Path.Combine(f.Home, "file");
        File.WriteAllText(path, text);
        var option = new Option();
        choose(option);
        return f.Request with
        {
            Compose = option.Compose is null ? null : path,
            Config = option.Config is null ? null : path,
            Load = option.Load is null ? [] : [path],
        };
    }, sentence);
}
