using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using OsBuild.OracleTests.Supervisor;

namespace OsBuild.SystemTests.Nightly;

/// <summary>The supervisor replaces itself on a whole board, without a registry: the images lie as archives on the boot partition. A trial takes two
/// minutes by design. Long: not part of CI.</summary>
[Collection("machines")]
public sealed class UpdateTests : IDisposable
{
    private const string Board = "qemux86-64", Page = "/cgi-bin/index.cgi", Second = "supervisor:2", Crashing = "supervisor:3", Script = "supervisor:4";
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);

    private readonly ITestOutputHelper _output;
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-update-").FullName;
    private readonly string _own = VersionOf(Checkout.Program("supervisor"));
    private readonly byte[] _program;
    private readonly string _version;

    public UpdateTests(ITestOutputHelper output)
    {
        _output = output;
        (_program, _version) = AnotherBuild();
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task S75_76_80_Another_build_takes_over_bad_ones_are_taken_back_and_after_a_reboot_the_good_one_works()
    {
        var disk = Disk(Archive(Second, _program), Archive(Crashing, ThatCrashes()), Archive(Script, [.. "#!/bin/sh\nexit 0\n"u8, .. new byte[5000]]));
        string container;
        using (var machine = Machine.Start(Board, disk.Path))
        {
            var device = Started(machine, _own);
            var done = Done(device);
            await using (var client = new Hammer(machine.Port, Page, Container))
            {
                var clock = Stopwatch.StartNew();
                var good = device.Ask("update", Second);
                Assert.True(good.ExitCode == 0, good.Output + machine.Console);
                _output.WriteLine($"good after {clock.Elapsed.TotalSeconds:0} s (the board's clock: on trial +{At(machine, "supervisor on trial")} s, ready +{At(machine, "supervisor ready")} s, good +{At(machine, "supervisor good")} s)\n{good.Output}");
                await client.UntilAnswersAsync();
                _output.WriteLine($"{client.Lost} of {client.Requests} requests lost, longest gap {client.LongestGap.TotalSeconds:0.0} s");
                AssertRuns(device, done);

                foreach (var (image, reason) in new[] { (Script, "it is no ELF program"), (Crashing, @"it ended with 134 \d+ s after it took over") })
                {
                    clock.Restart();
                    var bad = device.Ask("update", image);
                    _output.WriteLine($"{image}: bad after {clock.Elapsed.TotalSeconds:0} s\n{bad.Output}");
                    Assert.True(bad.ExitCode == 1, bad.Output + machine.Console);
                    Assert.Matches($@"{image} \(.*\): .*{reason}; {Second} \({Regex.Escape(_version)}, {Sha12}\) runs", bad.Output);
                    await client.UntilAnswersAsync();
                    AssertRuns(device, done);
                }

                machine.WaitFor($@"^\[osbuild\] \+[\d.]+s supervisor bad: {Crashing} .*; {Second} \(.*\) does the work", Long);
                _output.WriteLine($"{client.Lost} of {client.Requests} requests lost, longest gap {client.LongestGap.TotalSeconds:0.0} s");
                container = Assert.Single(client.Sequence);
                Assert.Equal(0, client.Lost);
            }

            machine.PowerOff();
        }

        using (var machine = Machine.Start(Board, disk.Path))
        {
            var device = Started(machine, _version);
            Assert.Equal(container, Container(machine.WaitForPage(Page, Long)));
            Assert.Matches($@"try {Second} \({Regex.Escape(_version)}, {Sha12}\) +because it was named: .*; good", device.Ask("why", "supervisor").MustPass("supervisor why").Output);
            machine.PowerOff();
        }

        disk.MustBeClean();
    }

    private string Sha12 => Convert.ToHexStringLower(SHA256.HashData(_program))[..12];

    /// <summary>Waits until the demo is good; the worker of this version must have told so.</summary>
    private static RemoteDevice Started(Machine machine, string version)
    {
        var device = RemoteDevice.In(machine);
        machine.WaitForPage(Page, Long);
        var status = device.Until("the release is good", s => RemoteDevice.Release(s) == "good" && RemoteDevice.Containers(s) == 2);
        Assert.Equal(version, status.GetProperty("version").GetString());
        return device;
    }

    /// <summary>What was done with the demo's services, ever.</summary>
    private static string Done(RemoteDevice device) => string.Concat(((string[])["clock", "web"]).Select(service =>
    {
        using var why = JsonDocument.Parse(device.Ask("why", service, "--json").MustPass("supervisor why").Output);
        return $"{why.RootElement.GetProperty("history")}\n";
    }));

    /// <summary>The other build works and is the good one, and nothing was done with the containers.</summary>
    private void AssertRuns(RemoteDevice device, string done)
    {
        var status = device.Until("the containers are seen", s => RemoteDevice.Containers(s) == 2);
        Assert.Equal((_version, $"{Second} ({_version}, {Sha12})"), (status.GetProperty("version").GetString(), status.GetProperty("supervisor").GetProperty("good").GetString()));
        Assert.Equal(done, Done(device));
    }

    /// <summary>The demo as it is, but for its health check: an emulated board that is polled and updated needs longer than 5 s now and then, and an
    /// unhealthy container is started again.</summary>
    private DiskFile Disk(params string[] archives) =>
        DemoDisk.Make(_folder, File.ReadAllText(Path.Combine(Checkout.Top, "tests/reference/demo-app/compose.yaml")).Replace("timeout: 5s", "timeout: 60s", StringComparison.Ordinal), archives);

    private string Archive(string image, byte[] program)
    {
        var file = Path.Combine(_folder, image.Replace(':', '-') + ".tar");
        File.WriteAllBytes(file, TestImages.OfFile(image, "supervisor", program));
        return file;
    }

    /// <summary>The published program with another version. It is a string of .NET's metadata, before which its doubled length stands.</summary>
    private (byte[] Program, string Version) AnotherBuild()
    {
        var program = File.ReadAllBytes(Checkout.Program("supervisor"));
        byte[] stored = [(byte)(_own.Length << 1), .. Encoding.ASCII.GetBytes(_own)];
        var at = program.AsSpan().IndexOf(stored);
        Assert.True(at > 0 && program.AsSpan(at + 1).IndexOf(stored) < 0, $"the version {_own} is not in the program exactly once");
        program[at + 1] = (byte)'9';
        var file = Path.Combine(_folder, "another");
        File.WriteAllBytes(file, program);
        Judge.Run("chmod", "+x", file).MustPass("chmod");
        var version = VersionOf(file);
        Assert.Equal("9" + _own[1..], version);
        return (program, version);
    }

    /// <summary>A program that does all that is asked of a worker that looks, and crashes when it works.</summary>
    private byte[] ThatCrashes()
    {
        var (source, program) = (Path.Combine(_folder, "crashes.c"), Path.Combine(_folder, "crashes"));
        File.WriteAllText(source, """
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <unistd.h>
            int main(int count, char **words) {
              const char *last = words[count - 1];
              if (!strcmp(last, "--version")) return puts("0.3.0") < 0;
              if (!strcmp(last, "--look")) return puts("[osbuild] event supervisor ready: 0.3.0") < 0;
              sleep(2);
              abort();
            }
            """);
        Judge.Run("clang", "-static", "-Os", "-o", program, source).MustPass("clang");
        return File.ReadAllBytes(program);
    }

    private static string VersionOf(string program) => Judge.Run(program, "--version").MustPass("supervisor --version").Output.Trim();

    /// <summary>When something was last said on the console, in seconds of the board's own clock.</summary>
    private static double At(Machine machine, string what) =>
        double.Parse(Regex.Matches(machine.Console, $@"^\[osbuild\] \+([\d.]+)s {what}", RegexOptions.Multiline)[^1].Groups[1].Value, CultureInfo.InvariantCulture);

    private static string Container(string page) => Regex.Match(page, "<td>Container</td><td>([0-9a-f]{12})</td>").Groups[1].Value;
}
