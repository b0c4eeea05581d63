using OsBuild.ImageBuilder.Building;
using OsBuild.Images.Compression;
using static OsBuild.Tests.Builder.DeployFixture;

namespace OsBuild.Tests.Builder;

/// <summary>The corpus of bad inputs: how a sound deploy directory is spoiled, and what is said.</summary>
internal static partial class BadInputs
{
    public const string LfsPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 14186432\n";
    private const string Link = $"{Image}-{Machine}.rootfs.tar.zst";

    /// <summary>By name: what to spoil (and the request to make then), and the sentences.</summary>
    public static IReadOnlyDictionary<string, (Func<DeployFixture, BuildRequest> Spoil, string[] Sentences)> All { get; } =
        Directories().Concat(Kernels()).Concat(RootFileSystems()).Concat(Others()).Concat(Users()).ToDictionary(c => c.Name, c => (c.Spoil, c.Sentences));

    private static (string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences) Case(string name, Action<DeployFixture> spoil, params string[] sentences) =>
        (name, fixture =>
        {
            spoil(fixture);
            return fixture.Request;
        }, sentences);

    private static (string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences) Ask(string name, Func<DeployFixture, BuildRequest> ask, params string[] sentences) =>
        (name, ask, sentences);

    private static IEnumerable<(string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences)> Directories() =>
    [
        Ask("no such deploy directory", f => f.Request with { Deploy = Path.Combine(f.Home, "nowhere") },
            "The deploy directory nowhere does not exist; it is usually tmp/deploy/images/MACHINE in the build directory of bitbake."),
        Ask("deploy is a file", f => f.Request with { Deploy = f.Supervisor },
            "supervisor is a file; --deploy wants the directory bitbake deployed to, usually tmp/deploy/images/MACHINE."),
        Ask("deploy is empty", f => f.Request with { Deploy = Directory.CreateDirectory(Path.Combine(f.Home, "empty")).FullName },
            "The deploy directory empty is empty; build an image with bitbake first."),
        Ask("output is a file", f => f.Request with { Output = f.Supervisor },
            "The output folder supervisor is a file; give another folder with --output."),
        Ask("output cannot be written", f => f.Request with { Output = "/proc/osbuild" },
            "The output folder /proc/osbuild cannot be written (no file can be made there); give another folder with --output."),
        Ask("no such image", f => f.Request with { Image = "core-image-sato" },
            "The deploy directory has no image core-image-sato; it has core-image-minimal."),
        Case("several images", f => f.Write($"core-image-sato-{Machine}.rootfs.tar.zst", [1]),
            "The deploy directory holds several images (core-image-minimal, core-image-sato); choose one with --image NAME."),
        Case("another machine's images", f =>
            {
                f.Delete(Rootfs, Link, TestData, Manifest, $"{Image}-{Machine}.rootfs.testdata.json", $"{Image}-{Machine}.rootfs.manifest");
                f.Write("core-image-minimal-beaglebone-yocto.rootfs.tar.xz", [1]);
            },
            "The deploy directory is not for board qemux86-64: it has core-image-minimal-beaglebone-yocto.rootfs.tar.xz, the board takes machine qemux86-64; give another board or directory."),
        Case("testdata of another machine", f => f.WriteText(TestData, TestDataText("genericx86-64")),
            "The image was built for MACHINE genericx86-64, but board qemux86-64 takes qemux86-64; give another board or directory."),
        Case("testdata of a 32-bit build", f => f.WriteText(TestData, TestDataText(arch: "i686")),
            "The image is a 32-bit build (TARGET_ARCH i686), but board qemux86-64 is x86_64; set a 64-bit tune for the machine and build again."),
        Case("testdata of another architecture", f => f.WriteText(TestData, TestDataText(arch: "aarch64")),
            "The image is a build (TARGET_ARCH aarch64), but board qemux86-64 is x86_64; set a 64-bit tune for the machine and build again."),
        Case("torn testdata", f => f.Cut(TestData, 20),
            $"{Image}-{Machine}.rootfs.testdata.json is not sound JSON from line 1 on; it was cut short or changed by hand, deploy the image again."),
        Case("testdata that is no object", f => f.WriteText(TestData, "[]"),
            $"{Image}-{Machine}.rootfs.testdata.json is not an object of variables as bitbake writes it; deploy the image again."),
        Case("empty testdata", f => f.Write(TestData, []),
            $"{Image}-{Machine}.rootfs.testdata.json is empty; the build or the copy that made it was cut short, make it again."),
        Case("dangling testdata", f => f.Delete(TestData),
            $"{Image}-{Machine}.rootfs.testdata.json is a link to {TestData}, which is not there; copy the deploy directory whole, or with cp -L, or build the image again."),
        Case("manifest of another form", f => f.WriteText(Manifest, "base-files qemux86_64 3.0.14\nbusybox\n"),
            $"{Image}-{Machine}.rootfs.manifest line 2 is not \"package arch version\" as bitbake writes it; deploy the image again."),
    ];

    private static IEnumerable<(string Name, Func<DeployFixture, BuildRequest> Spoil, string[] Sentences)> Kernels() =>
    [
        Case("no kernel", f => f.Delete("bzImage", $"bzImage-{Machine}.bin", Kernel),
            "The kernel bzImage is not in the deploy directory deploy."),
        Case("a kernel of another name", f =>
            {
                f.Delete("bzImage", $"bzImage-{Machine}.bin", Kernel);
                f.Write("zImage", [1]);
                f.Write("bzImage.old", [1]);
            },
            "The kernel bzImage is not in the deploy directory deploy; near it are bzImage.old and zImage."),
        Case("a dangling kernel", f => f.Delete(Kernel),
            $"bzImage is a link to {Kernel}, which is not there; copy the deploy directory whole, or with cp -L, or build the image again."),
        Case("a kernel link in a circle", f => f.Link("bzImage", "bzImage"),
            "bzImage is a link to bzImage, which is not there; copy the deploy directory whole, or with cp -L, or build the image again."),
        Case("an empty kernel", f => f.Write(Kernel, []),
            "bzImage is empty; the build or the copy that made it was cut short, make it again."),
        Case("a git-lfs pointer for a kernel", f => f.WriteText(Kernel, LfsPointer),
            "bzImage is a git-lfs pointer, not the file itself (13.5 MiB); run git lfs pull where it was checked out."),
        Case("a git-lfs pointer without a size", f => f.WriteText(Kernel, "version https://git-lfs.github.com/spec/v1\n"),
            "bzImage is a git-lfs pointer, not the file itself; run git lfs pull where it was checked out."),
        Case("a torn kernel", f => f.Cut(Kernel, 100),
            "The kernel bzImage is cut off: its header asks for 10752 bytes, the file has 10652; copy it again."),
        Case("a 32-bit x86 kernel", f => f.Write(Kernel, Binaries.BzImage("6.6.23", is64: false)),
            "The kernel bzImage is for 32-bit x86, but board qemux86-64 is x86-64; give the deploy directory of one of its machines (qemux86-64)."),
        Case("an arm64 kernel", f => f.Write(Kernel, Binaries.Arm64Image("6.6.23")),
            "The kernel bzImage is for 64-bit Arm, but board qemux86-64 is x86-64; give the deploy directory of one of its machines (qemux86-64)."),
        Case("a torn arm64 kernel", f => f.Write(Kernel, Binaries.Arm64Image("6.6.23")[..12000]),
            "The kernel bzImage is cut off: its header asks for 16384 bytes, the file has 12000; copy it again."),
        Case("a 32-bit Arm zImage", f => f.Write(Kernel, Spoiled(4096, 0x24, [0x18, 0x28, 0x6F, 0x01])),
            "The kernel bzImage is for 32-bit Arm, but board qemux86-64 is x86-64; give the deploy directory of one of its machines (qemux86-64)."),
        Case("a legacy uImage", f => f.Write(Kernel, Spoiled(4096, 0, [0x27, 0x05, 0x19, 0x56])),
            "The kernel bzImage is a legacy uImage, but board qemux86-64 boots bzImage; set KERNEL_IMAGETYPE to bzImage in the Yocto build."),
        Case("a vmlinux", f => f.Write(Kernel, Binaries.Elf(Binaries.X8664)),
            "The kernel bzImage is an ELF file (vmlinux), but board qemux86-64 boots bzImage; set KERNEL_IMAGETYPE to bzImage in the Yocto build."),
        Case("a FIT", f => f.Write(Kernel, Binaries.DeviceTree(4096)),
            "The kernel bzImage is a FIT, but board qemux86-64 boots bzImage; set KERNEL_IMAGETYPE to bzImage in the Yocto build."),
        Case("a torn FIT", f => f.Write(Kernel, Binaries.DeviceTree(4096)[..4000]),
            "The kernel bzImage is cut off: its header asks for 4096 bytes, the file has 4000; copy it again."),
        Case("an Android boot image", f => f.Write(Kernel, Spoiled(4096, 0, "ANDROID!"u8)),
            "The kernel bzImage is an Android boot image, but board qemux86-64 boots bzImage; set KERNEL_IMAGETYPE to bzImage in the Yocto build."),
        Case("an Image.gz", f => f.Write(Kernel, Archive.Encode(Binaries.Arm64Image("6.6.23"), Codec.Gzip)),
            "The kernel bzImage is for 64-bit Arm, but board qemux86-64 is x86-64; give the deploy directory of one of its machines (qemux86-64)."),
        Case("a gzip of something else", f => f.Write(Kernel, Archive.Encode("hello"u8.ToArray(), Codec.Gzip)),
            "The kernel bzImage is a gzip file without an arm64 Image in it, but board qemux86-64 boots bzImage; set KERNEL_IMAGETYPE to bzImage in the Yocto build."),
        Case("a text for a kernel", f => f.WriteText(Kernel, "404: Not Found"),
            "bzImage is not a kernel that the builder knows; board qemux86-64 wants bzImage."),
        Case("a directory for a kernel", f =>
            {
                f.Delete("bzImage", $"bzImage-{Machine}.bin", Kernel);
                Directory.CreateDirectory(f.At("bzImage"));
            },
            "The kernel bzImage is not in the deploy directory deploy."),
    ];

    private static byte[] Spoiled(int size, int at, ReadOnlySpan<byte> bytes)
    {
        var file = new byte[size];
        bytes.CopyTo(file.AsSpan(at));
        return file;
    }
}
