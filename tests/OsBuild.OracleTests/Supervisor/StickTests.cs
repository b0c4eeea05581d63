using System.Security.Cryptography;
using OsBuild.Supervisor.Bundles;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>Bundles on sticks: file systems made by mkfs, on loop devices.</summary>
public sealed class StickTests : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("osb-stick-").FullName;
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose()
    {
        key.Dispose();
        Directory.Delete(root, recursive: true);
    }

    private async Task<string> MadeAsync(string name, int sequence)
    {
        var (folder, pem, said) = (Path.Combine(root, name), Path.Combine(root, "key.pem"), new StringWriter());
        Directory.CreateDirectory(Path.Combine(folder, "apps"));
        await File.WriteAllTextAsync(pem, key.ExportECPrivateKeyPem());
        await File.WriteAllTextAsync(Path.Combine(folder, "compose.yaml"), $"services:\n  web: {{ image: \"stick:{sequence}\" }}\n");
        await File.WriteAllBytesAsync(Path.Combine(folder, "apps", "web.tar"), TestImages.Archive($"stick:{sequence}"));
        Assert.True(await BundleCommand.RunAsync([folder, "--key", pem, "--output", folder + ".bundle", "--sequence", $"{sequence}"], said, said) == 0, $"{said}");
        return folder + ".bundle";
    }

    /// <summary>A stick with this file system and these files; gives its loop device.</summary>
    private string Plug(string mkfs, params string[] files)
    {
        var image = Path.Combine(root, $"{Random.Shared.Next()}.img");
        using (var file = File.Create(image)) file.SetLength(48 << 20);
        Judge.Run(mkfs, image).MustPass(mkfs);
        var loop = Judge.Run("losetup", "--find", "--show", image).MustPass("losetup").Output.Trim();
        var mount = Directory.CreateDirectory(image + ".mount").FullName;
        Judge.Run("mount", loop, mount).MustPass("mount");
        foreach (var file in files) File.Copy(file, Path.Combine(mount, Path.GetFileName(file)));
        Judge.Run("umount", mount).MustPass("umount");
        return loop;
    }

    [Theory]
    [InlineData("mkfs.vfat")]
    [InlineData("mkfs.ext4")]
    public async Task S101_A_bundle_on_a_stick_is_taken_once_and_a_forged_one_is_told(string mkfs)
    {
        if (!Judge.IsRoot) Assert.Skip("loop devices need root");
        if (!File.ReadLines("/proc/filesystems").Any(l => l.EndsWith("\t" + mkfs.Split('.')[1], StringComparison.Ordinal))) Assert.Skip($"this kernel has no {mkfs.Split('.')[1]}");
        var paths = new HostPaths(Path.Combine(root, "boot"), Path.Combine(root, "state"), Path.Combine(root, "data"), Path.Combine(root, "run"), Path.Combine(root, "no.sock"));
        foreach (var directory in (string[])[paths.Boot, paths.State, paths.Data, paths.Run]) Directory.CreateDirectory(directory);
        await File.WriteAllTextAsync(paths.ConfigYaml, $"bundle-keys: [{Convert.ToBase64String(key.ExportSubjectPublicKeyInfo())}]\n");
        var log = new LoggerConfiguration().CreateLogger();
        using var journal = Journal.Open(new Places(paths).StateDirectory);
        var history = new History(Path.Combine(root, "history"));
        await using var reconciler = new Reconciler(paths, journal, history, log);
        using var intake = new BundleIntake(paths, new ComposeWatch(paths, reconciler, log), () => DateTimeOffset.UtcNow);
        var (good, forged) = (await MadeAsync("good", 1), await MadeAsync("forged", 2));
        var bytes = await File.ReadAllBytesAsync(forged);
        bytes[^2000] ^= 1;
        await File.WriteAllBytesAsync(forged, bytes);
        var loop = Plug(mkfs, good, forged);
        try
        {
            var watch = new StickWatch(paths, intake, reconciler, log) { IsStick = disk => "/dev/" + disk == loop };
            await watch.LookAsync(CancellationToken.None);
            Assert.Equal("stick:1", journal.Memory.Target!.Apps.Single().Services["web"].Image);
            // In the order of their names: the forged one came first.
            Assert.Equal(["take forged.bundle", "take good.bundle"], history.Of(null, 10).Select(e => e.What));
            Assert.Contains("web.tar is not what was signed", history.Of(null, 10)[0].Outcome);
            await watch.LookAsync(CancellationToken.None);
            Assert.Equal(2, history.Of(null, 10).Count);
            // Another life of the supervisor with the stick still in: what was taken is known, what was refused is told again.
            await new StickWatch(paths, intake, reconciler, log) { IsStick = disk => "/dev/" + disk == loop }.LookAsync(CancellationToken.None);
            Assert.Equal(["take forged.bundle", "take good.bundle", "take forged.bundle"], history.Of(null, 10).Select(e => e.What));
            Assert.Contains("forged.bundle on the stick was not taken", reconciler.CurrentProblems()["bundle"]);
            Assert.DoesNotContain(MountInfo.Current(), m => m.Source == loop);
        }
        finally
        {
            Judge.Run("losetup", "--detach", loop);
        }
    }

    [Fact]
    public void A_disk_that_is_in_use_is_no_stick_and_a_partition_goes_before_its_disk()
    {
        List<BlockDevice> devices = [new("sda", "8:0", "sda", 0, "", "", 0, 100), new("sda1", "8:1", "sda", 1, "boot", "", 1, 50), new("sda2", "8:2", "sda", 2, "data", "", 51, 49),
            new("sdb", "8:16", "sdb", 0, "", "", 0, 100), new("sdb1", "8:17", "sdb", 1, "", "", 1, 99), new("sdc", "8:32", "sdc", 0, "", "", 0, 100), new("sdd", "8:48", "sdd", 0, "", "", 0, 0), new("nvme0n1", "259:0", "nvme0n1", 0, "", "", 0, 9)];
        Assert.Equal(["sdb1", "sdc"], Sticks.Of(devices, disk => disk.StartsWith("sd", StringComparison.Ordinal), new HashSet<string> { "8:2" }).Select(d => d.Name));
    }
}
