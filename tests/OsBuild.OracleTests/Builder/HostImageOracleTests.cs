using System.Diagnostics;
using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.OracleTests.Images;
using OsBuild.Tests.Builder;

namespace OsBuild.OracleTests.Builder;

/// <summary>Host images before the outside judges: GNU tar, sha256sum, the checkers of the file systems, the kernel.</summary>
public sealed class HostImageOracleTests
{
    /// <summary>The reference image: genuine kernel, initramfs and root, written by the program as people run it.</summary>
    [Fact]
    public void The_reference_image_becomes_a_host_image_that_tar_and_the_kernel_read()
    {
        using var folder = new TempFolder();
        var image = BuiltImage.Build(folder["out"], "qemux86-64", "--deploy", Checkout.Needed(Path.Combine(Checkout.Work, "deploy/qemux86-64")), "--supervisor", "/usr/bin/true");
        var host = Unpack(image.Path, folder);
        Judge.Run("e2fsck", "-fn", $"{host}/root.img").MustPass("e2fsck of root.img");
        var (_, _, offset, size) = image.Partitions.Single(p => p.Name == "root-a");
        Assert.Equal(size, new FileInfo($"{host}/root.img").Length);
        Judge.Run("cmp", $"--ignore-initial=0:{offset}", $"--bytes={size}", $"{host}/root.img", image.Path).MustPass("the root of the image");
        using (var root = new LoopMount($"{host}/root.img", "ro")) Judge.Run("cmp", "/usr/bin/true", root.Directory + "/usr/lib/osbuild/supervisor").MustPass("the supervisor in root.img");
        foreach (var file in (string[])["bzImage", "initramfs.cpio.zst"]) Judge.Run("sh", "-c", $"{BuiltImage.Program} cat {image.Path} boot slot-a/{file} | cmp - {host}/slot/{file}").MustPass(file);
        Judge.Run("sh", "-c", $"sed 's/@SLOT@/a/g; s/@SORT@/9999/; s/@ROOT@/'$({BuiltImage.Program} inspect {image.Path} --json | sed 's/.*\"root-a\",[^}}]*\"id\":\"\\([^\"]*\\).*/\\1/' | tr A-Z a-z)'/' {host}/loader/entry.conf > {folder["entry"]}; {BuiltImage.Program} cat {image.Path} boot loader/entries/slot-a.conf | cmp - {folder["entry"]}").MustPass("the entry, filled in for slot a");
        StoppedInTheMiddleItLeavesNothing(image, folder);
    }

    [Fact]
    public void Of_a_squashfs_what_it_uses_is_taken()
    {
        using var folder = new TempFolder();
        using var fixture = new BoardFixture(BoardCatalog.Find("qemux86-64").Board!);
        var image = BuiltImage.Build(folder["out"], "qemux86-64", "--deploy", fixture.Request.Deploy, "--supervisor", fixture.Supervisor, "--rootfs", "squashfs");
        var host = Unpack(image.Path, folder);
        var said = Judge.Run("unsquashfs", "-s", $"{host}/root.img").MustPass("unsquashfs -s").Output;
        Assert.Contains("valid SQUASHFS 4:0 superblock", said, StringComparison.Ordinal);
        Assert.InRange(new FileInfo($"{host}/root.img").Length, 4096, 1 << 20);
        Judge.Run("unsquashfs", "-d", folder["root"], $"{host}/root.img").MustPass("unsquashfs");
        Judge.Run("cmp", fixture.Supervisor, folder["root/usr/lib/osbuild/supervisor"]).MustPass("the supervisor in root.img");
    }

    /// <summary>Makes a host image and unpacks it with GNU tar, with every digest in it checked by sha256sum; gives the folder of its layer.</summary>
    private static string Unpack(string image, TempFolder folder)
    {
        Judge.Run(BuiltImage.Program, "host-image", image, "--tag", "registry.example.com/host:12", "--output", folder["host.tar"]).MustPass("host-image");
        var (outer, layer) = (folder["archive"], folder["layer"]);
        foreach (var (tar, into) in new[] { (folder["host.tar"], outer), ($"{outer}/layer.tar", layer) })
        {
            Directory.CreateDirectory(into);
            Assert.Equal("", Judge.Run("tar", "-xf", tar, "-C", into).MustPass("tar").Output);
        }

        var names = Judge.Run("tar", "-tf", $"{outer}/layer.tar").MustPass("tar -t").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(("host.json", "root.img"), (names[0], names[^1]));
        var configuration = Directory.EnumerateFiles(outer, "*.json").Single(f => !f.EndsWith("manifest.json", StringComparison.Ordinal));
        using var json = JsonDocument.Parse(File.ReadAllText(configuration));
        using var host = JsonDocument.Parse(File.ReadAllText($"{layer}/host.json"));
        List<(string, string)> sums =
        [
            (configuration, Path.GetFileNameWithoutExtension(configuration)), ($"{outer}/layer.tar", json.RootElement.GetProperty("rootfs").GetProperty("diff_ids")[0].GetString()!["sha256:".Length..]),
            ($"{layer}/root.img", host.RootElement.GetProperty("root").GetProperty("sha256").GetString()!),
            .. host.RootElement.GetProperty("files").EnumerateArray().Select(f => ($"{layer}/{f.GetProperty("path").GetString()}", f.GetProperty("sha256").GetString()!)),
        ];
        File.WriteAllText(folder["sums"], string.Concat(sums.Select(s => $"{s.Item2}  {s.Item1}\n")));
        Judge.Run("sha256sum", "--check", "--strict", folder["sums"]).MustPass("sha256sum");
        return layer;
    }

    private static void StoppedInTheMiddleItLeavesNothing(BuiltImage image, TempFolder folder)
    {
        var before = Directory.EnumerateFileSystemEntries(folder["out"]).Order().ToList();
        using var program = Process.Start(new ProcessStartInfo(BuiltImage.Program, ["host-image", image.Path, "--tag", "host:12"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        Assert.StartsWith("digests: ", program.StandardError.ReadLine(), StringComparison.Ordinal);
        Judge.Run("sh", "-c", $"kill -INT {program.Id}").MustPass("kill");
        Assert.EndsWith("error: Stopped; nothing was left behind.\n", program.StandardError.ReadToEnd(), StringComparison.Ordinal);
        program.WaitForExit();
        Assert.Equal((1, ""), (program.ExitCode, program.StandardOutput.ReadToEnd()));
        Assert.Equal(before, Directory.EnumerateFileSystemEntries(folder["out"]).Order());
    }
}
