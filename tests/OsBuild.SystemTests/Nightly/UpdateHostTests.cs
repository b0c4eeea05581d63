using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace OsBuild.SystemTests.Nightly;

/// <summary>The host of a whole board is replaced by another one, by the loader its board file names: a good one stays, one whose kernel panics gives way to
/// the one before with a reason, and neither costs a container its data or its identity. Long: not part of CI.</summary>
[Collection("machines")]
public sealed class UpdateHostTests(ITestOutputHelper output) : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(25);
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-host-").FullName;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose()
    {
        _key.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("qemux86-64", "qemux86-64", "amd64")] // systemd-boot
    [InlineData("genericx86-64-bios", "genericx86-64", "amd64")] // GRUB
    [InlineData("qemuarm64-u-boot", "qemuarm64", "arm64")] // U-Boot
    public void A_board_s_host_is_replaced_and_a_bad_one_gives_way(string board, string machine, string architecture)
    {
        if (board != "qemux86-64") Checkout.Script(TimeSpan.FromMinutes(10), "firmware.sh");
        Checkout.Image(board); // makes what these are built from
        var disk = new DiskFile(Images(board, machine, architecture));
        var clock = Stopwatch.StartNew();
        using (var running = Machine.Start(board, disk.Path, "-action", "reboot=reset"))
        {
            var device = RemoteDevice.In(running);
            Until("the apps are good", device, s => Releases(s) == "good" && Containers(s).Count == 2);
            var containers = Containers(Status(device)!);
            Tell("serves", clock);
            device.Ask("apply", Path.Combine(_folder, "hosts.bundle")).MustPass("supervisor apply");
            Tell("has the bundle", clock);

            device.Ask("update", "--host", "host:2", "--no-wait").MustPass("supervisor update --host");
            var good = Until("host:2 is good", device, s => Host(s, "state") is "good" or "bad");
            Assert.True((Host(good, "state"), Slot(good)) == ("good", "b"), good["hostUpdate"]!.ToJsonString());
            Tell("host:2 good in slot b", clock);
            Assert.Contains("host on trial: host:2", running.Console, StringComparison.Ordinal);
            Assert.Equal(containers, Containers(good));

            device.Ask("update", "--host", "host:panics", "--no-wait").MustPass("supervisor update --host");
            var bad = Until("host:panics was given up", device, s => Host(s, "state") is "good" or "bad");
            Tell("host:panics given up", clock);
            Assert.Equal(("bad", "b"), (Host(bad, "state"), Slot(bad)));
            Assert.Contains("it never came as far as the state partition", bad["hostUpdate"]!["bad"]!.ToJsonString(), StringComparison.Ordinal);
            Assert.InRange(Regex.Count(running.Console, "Kernel panic"), 1, 3);
            Until("the apps run again", device, s => Containers(s).Count == 2 && s["services"]!.AsArray().All(x => x!["state"]!.GetValue<string>() == "running"));
            Assert.Equal(containers, Containers(Status(device)!));
            Assert.Contains("because it was named", device.Ask("why", "host").MustPass("why host").Output, StringComparison.Ordinal);

            running.Control.Run(architecture == "arm64" ? "send-key" : "system_powerdown", architecture == "arm64" ? """{"keys":[{"type":"qcode","data":"power"}]}""" : null);
            running.WaitForEnd(TimeSpan.FromMinutes(5));
        }

        disk.MustBeClean();
        // Power on, off, on: what is good stays, and is on trial no more.
        for (var boot = 0; boot < 2; boot++)
        {
            using var again = Machine.Start(board, disk.Path);
            var slot = again.WaitFor(@"osbuild\.slot=(.)", Long).Groups[1].Value;
            again.WaitFor(@"^\[osbuild\] \+[\d.]+s identity", Long);
            Assert.Equal("b", slot);
            Assert.DoesNotContain("host on trial", again.Console, StringComparison.Ordinal);
            again.PullPlug();
        }
    }

    /// <summary>Three images of the board: the one that is flashed, one whose supervisor is another build, and one with a program in its place that ends at
    /// once. Of the latter two the hosts, in a signed bundle together with the app.</summary>
    private string Images(string board, string machine, string architecture)
    {
        var supervisor = Checkout.Program("supervisor", architecture == "arm64" ? "linux-arm64" : "linux-x64");
        var demo = Path.Combine(Checkout.Work, "demo", architecture);
        var bundle = Path.Combine(_folder, "bundle");
        Directory.CreateDirectory(Path.Combine(bundle, "apps"));
        File.Copy(Path.Combine(demo, "compose.yaml"), Path.Combine(bundle, "compose.yaml"));
        File.Copy(Path.Combine(demo, "demo.tar"), Path.Combine(bundle, "apps", "demo.tar"));
        File.WriteAllText(Path.Combine(_folder, "config.yaml"), $"bundle-keys: [{Convert.ToBase64String(_key.ExportSubjectPublicKeyInfo())}]\n");
        File.WriteAllText(Path.Combine(_folder, "key.pem"), _key.ExportECPrivateKeyPem());

        var other = Path.Combine(_folder, "other");
        File.WriteAllBytes(other, [.. File.ReadAllBytes(supervisor), .. "another build"u8]);
        var ends = Path.Combine(_folder, "ends");
        File.WriteAllBytes(ends, TinyProgram.Ends(architecture));
        foreach (var (name, program) in new[] { ("2", other), ("panics", ends) })
        {
            var image = Build(board, machine, demo, name, program);
            Judge.Run(TimeSpan.FromMinutes(5), Checkout.Program("image-builder"), "host-image", image, "--tag", $"host:{name}", "--output", Path.Combine(bundle, "apps", $"host-{name}.tar")).MustPass("image-builder host-image");
            File.Delete(image);
        }

        Judge.Run(TimeSpan.FromMinutes(5), Checkout.Program("supervisor"), "bundle", bundle, "--key", Path.Combine(_folder, "key.pem"), "--output", Path.Combine(_folder, "hosts.bundle")).MustPass("supervisor bundle");
        var disk = Build(board, machine, demo, "1", supervisor);
        using (var file = File.OpenWrite(disk)) file.SetLength(4L << 30);
        return disk;
    }

    private string Build(string board, string machine, string demo, string name, string supervisor)
    {
        var folder = Path.Combine(_folder, name);
        Judge.Run(TimeSpan.FromMinutes(5), Checkout.Program("image-builder"), "build", board, "--deploy", Path.Combine(Checkout.Work, "deploy", machine), "--output", folder, "--image", "osbuild-reference", "--rootfs", "squashfs",
            "--supervisor", supervisor, "--config", Path.Combine(_folder, "config.yaml"), "--compose", Path.Combine(demo, "compose.yaml"), "--load", Path.Combine(demo, "demo.tar")).MustPass("image-builder build");
        return Directory.EnumerateFiles(folder, "*.img").Single();
    }

    /// <summary>Null while nobody answers.</summary>
    private static JsonNode? Status(RemoteDevice device) => device.Ask("status", "--json") is { ExitCode: 0 } run ? JsonNode.Parse(run.Output) : null;

    private JsonNode Until(string what, RemoteDevice device, Func<JsonNode, bool> condition)
    {
        var (clock, said) = (Stopwatch.StartNew(), "");
        while (true)
        {
            var status = Status(device);
            if (status is not null && condition(status)) return status;
            if (status?["hostUpdate"]?["doing"]?.GetValue<string>() is { } doing && doing != said) output.WriteLine(said = doing);
            Assert.True(clock.Elapsed < Long, $"not within {Long}: {what}\n{status?.ToJsonString()}");
            Thread.Sleep(2000);
        }
    }

    private void Tell(string what, Stopwatch clock) => output.WriteLine($"{clock.Elapsed.TotalSeconds:0} s: {what}");

    private static string? Host(JsonNode status, string name) => status["hostUpdate"]?[name]?.GetValue<string>();

    private static string? Slot(JsonNode status) => status["host"]?["slot"]?.GetValue<string>();

    private static string Releases(JsonNode status) => string.Join(' ', status["releases"]!.AsArray().Select(r => r!["state"]));

    private static List<string> Containers(JsonNode status) => [.. status["services"]!.AsArray().Select(s => s!["container"]!.GetValue<string>()).Where(c => c.Length > 0).Order(StringComparer.Ordinal)];
}
