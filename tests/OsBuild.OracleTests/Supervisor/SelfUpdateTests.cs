using System.Buffers.Binary;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The supervisor is replaced by itself on a real engine: the stub, a worker of this build as the root's own, and the published program as the new one.</summary>
[Collection("engine 3")]
public sealed class SelfUpdateTests(EngineFixture fixture, ITestOutputHelper output) : IAsyncDisposable
{
    private static readonly TrialBounds Bounds = new() { ReadyWithin = TimeSpan.FromSeconds(60), Proving = TimeSpan.FromSeconds(3), Silence = TimeSpan.FromSeconds(75), Settle = TimeSpan.FromSeconds(1) };

    private Device? device;
    private WorkerStub? stub;
    private Task running = Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        stub?.Worker.Stop(TimeSpan.FromSeconds(60));
        await running;
        if (device is not null) await device.DisposeAsync();
    }

    private async Task<Device> StartAsync()
    {
        device = await Device.NewAsync(fixture);
        var paths = device.Paths;
        var environment = new Dictionary<string, string> { ["OSBUILD_BOOT"] = paths.Boot, ["OSBUILD_STATE"] = paths.State, ["OSBUILD_DATA"] = paths.Data, ["OSBUILD_RUN"] = paths.Run, ["OSBUILD_ENGINE"] = paths.EngineSocket, ["OSBUILD_PORT"] = "0" };
        var own = new ChildSpec("worker", "dotnet", [Path.Combine(AppContext.BaseDirectory, "supervisor.dll"), "worker", "--containers-only"], 0, "", environment);
        stub = new WorkerStub(paths, own, ["worker", "--containers-only"], Bounds, new StubVoice(device.Lines.Enqueue, (name, detail) => device.Lines.Enqueue($"{name}: {detail}"), device.Lines.Enqueue));
        running = stub.Worker.RunAsync();
        _ = stub.ConductAsync();
        return device;
    }

    private async Task<(int Code, string Said)> UpdateAsync(string image)
    {
        var said = new StringWriter();
        var code = await Cli.RunAsync(["update", image], device!.Paths, said, said).WaitAsync(TimeSpan.FromSeconds(Device.HangGuard));
        output.WriteLine($"{image}: {code}: {said}");
        return (code, $"{said}");
    }

    /// <summary>Ids and processes of the app's containers.</summary>
    private async Task<List<string>> AppsAsync()
    {
        var apps = new List<string>();
        foreach (var container in await device!.ContainersAsync()) apps.Add($"{container.ID} {(await device.Engine.InspectAsync(container.ID, CancellationToken.None))!.State!.Pid}");
        return apps;
    }

    private string Runs => new FileInfo($"/proc/{stub!.Worker.ProcessId}/exe").LinkTarget ?? "";

    private string Name(string tag) => $"supervisor-{device!.App}:{tag}";

    private async Task<string> LoadAsync(string tag, byte[] program, string path = "supervisor")
    {
        await device!.LoadAsync(TestImages.OfFile(Name(tag), path, program));
        return Name(tag);
    }

    private const string App = """
        services:
          web: { image: "t:self", command: [sleep, "1000"] }
          own: { image: "t:self", command: [sleep, "1001"], labels: { io.osbuild.update.strategy: hand-over } }
        """;

    [Fact]
    public async Task S75_78_80_A_new_supervisor_takes_over_and_the_old_one_can_come_back_while_the_apps_go_on()
    {
        var program = await File.ReadAllBytesAsync(Checkout.Program("supervisor"));
        await StartAsync();
        await device!.LoadAsync(TestImages.Archive("t:self"));
        await device.ApplyAsync(App);
        await device.UntilSettledAsync();
        var apps = await AppsAsync();
        Assert.Equal(2, apps.Count);
        var before = stub!.Worker.ProcessId;

        Assert.Equal(0, (await UpdateAsync(await LoadAsync("2", program))).Code);
        Assert.NotEqual(before, stub.Worker.ProcessId);
        Assert.StartsWith(new UpdateStore(device.Paths).Programs, Runs, StringComparison.Ordinal);
        Assert.Equal(apps, await AppsAsync());
        var status = await device.UntilSettledAsync();
        Assert.StartsWith(Name("2"), status.Supervisor!.Good, StringComparison.Ordinal);
        Assert.Contains("good", await device.AskAsync("why", "supervisor"), StringComparison.Ordinal);
        // It does the work: what is removed by hand comes back.
        await device.Engine.RemoveAsync((await device.ContainersAsync())[0].ID, CancellationToken.None);
        await device.UntilAsync("both run again", s => s.Services.Count(x => x.State == "running") == 2);
        await device.UntilSettledAsync();
        apps = await AppsAsync();

        // The same program again needs no trial; the root's own comes back when it is named.
        var pid = stub.Worker.ProcessId;
        Assert.Equal(0, (await UpdateAsync(Name("2"))).Code);
        Assert.Equal(pid, stub.Worker.ProcessId);
        Assert.Equal(0, (await UpdateAsync(UpdateRecord.BuiltIn)).Code);
        await device.UntilAsync("the root's own runs", s => s.Supervisor!.Good == UpdateRecord.BuiltIn && stub.Worker.ProcessId > 0 && Runs.EndsWith("dotnet", StringComparison.Ordinal));
        Assert.Equal(apps, await AppsAsync());
    }

    [Fact]
    public async Task S76_79_80_What_is_no_supervisor_is_refused_and_the_next_one_is_tried()
    {
        var program = await File.ReadAllBytesAsync(Checkout.Program("supervisor"));
        var foreign = program.ToArray();
        BinaryPrimitives.WriteUInt16LittleEndian(foreign.AsSpan(18), 183);
        await StartAsync();
        await device!.LoadAsync(TestImages.Archive("t:self"));
        await device.ApplyAsync(App);
        await device.UntilSettledAsync();
        var (apps, worker) = (await AppsAsync(), stub!.Worker.ProcessId);

        foreach (var (tag, content, path, reason) in new (string, byte[], string, string)[]
        {
            ("script", [.. "#!/bin/sh\nexit 0\n"u8, .. new byte[5000]], "supervisor", "it is no ELF program"),
            ("elsewhere", program, "usr/supervisor", "the image has no /supervisor"),
            ("foreign", foreign, "supervisor", "it is a program for arm64, and this device has x86-64"),
            ("cut", program[..(program.Length / 2)], "supervisor", "it is cut off"),
            ("busybox", await File.ReadAllBytesAsync("/bin/busybox"), "supervisor", "asked for its version it ended with"),
            ("zeros", [.. program[..4096], .. new byte[program.Length - 4096]], "supervisor", "it"),
        })
        {
            var (code, said) = await UpdateAsync(await LoadAsync(tag, content, path));
            Assert.Equal(1, code);
            Assert.Contains(reason, said, StringComparison.Ordinal);
            Assert.Equal((worker, true), (stub.Worker.ProcessId, apps.SequenceEqual(await AppsAsync())));
            Assert.Contains(Name(tag), await device.AskAsync("status"), StringComparison.Ordinal);
        }

        Assert.Contains("is not an image name", (await UpdateAsync("No Image")).Said, StringComparison.Ordinal);

        // One that runs and says its version, but cannot do the work of a worker: found out while it looks.
        var good = await LoadAsync("good", program);
        Assert.Equal(1, (await UpdateAsync(await LoadAsync("cat", await File.ReadAllBytesAsync("/bin/cat")))).Code);
        Assert.Contains("before it was ready", (await device.StatusAsync()).Supervisor!.Bad[^1], StringComparison.Ordinal);

        // Two in a row: the second one waits for the first, and is the one that runs in the end.
        await LoadAsync("second", [.. program, .. "another"u8]);
        await device.AskAsync("update", good, "--no-wait");
        await device.UntilAsync("the first is on trial", s => s.Supervisor!.Trial?.StartsWith(good, StringComparison.Ordinal) == true);
        Assert.Equal(0, (await UpdateAsync(Name("second"))).Code);
        Assert.StartsWith(Name("second"), (await device.StatusAsync()).Supervisor!.Good, StringComparison.Ordinal);
        Assert.Equal(apps, await AppsAsync());
    }
}
