using System.Diagnostics;
using System.Text;
using System.Text.Json;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Bundles;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Push;

/// <summary>From a folder on a developer's machine to a release that has proved itself on a device, with no cloud between: the device builds, and the
/// release goes the way of every other one, with its rollback.</summary>
internal sealed class PushCommand(Client client, TextWriter output, TextWriter errors)
{
    private static readonly string[] Names = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(500);

    public async Task<int> RunAsync(string directory, bool wait, CancellationToken stop = default)
    {
        if (!Directory.Exists(directory)) throw new FormatException($"There is no folder {directory}.");
        var (handover, result) = Read(ComposeIn(directory, "image: or build:"), canBuild: true);
        foreach (var remark in result.Diagnostics) await errors.WriteLineAsync(remark.ToString());
        if (result.Release is not { } release) return 2;
        foreach (var spec in result.Builds)
            if (!Directory.Exists(Path.Combine(directory, spec.Context))) throw new FormatException($"The service {spec.Service} is built from {spec.Context}, which is no folder.");

        // Before anything long: is it there, and is the key right?
        var before = await client.GetAsync("v1/status", ApiJson.Default.StatusReport, stop);
        await output.WriteLineAsync($"==> {client.Where}: {before.Name}, engine {before.Engine.Version}");
        foreach (var spec in result.Builds)
        {
            if (await BuildAsync(Path.Combine(directory, spec.Context), release.App, spec, stop) is not { } image) return 1;
            handover.Built[spec.Service] = image;
        }

        var (code, report) = await HandOverAsync(client, handover, errors, stop);
        if (code != 0) return code;
        await output.WriteLineAsync($"==> release {report!.Fingerprint} of {report.App} accepted");
        return wait ? await WaitAsync(report.App!, report.Fingerprint!, stop) : 0;
    }

    /// <summary>Hands a compose file over as it is; nothing is built.</summary>
    public static async Task<int> ApplyAsync(Client client, string file, TextWriter output, TextWriter errors, CancellationToken stop = default)
    {
        if (!File.Exists(file)) throw new FormatException($"There is no file {file}.");
        if (await IsBundleAsync(file, stop)) return await BundleAsync(client, file, output, stop);
        var (code, _) = await HandOverAsync(client, Read(file, canBuild: false).Handover, errors, stop);
        if (code == 0) await output.WriteLineAsync("Accepted; see 'supervisor status'.");
        return code;
    }

    /// <summary>The compose file of a folder with all the files beside it that it asks for, and what is to be said of it.</summary>
    /// <exception cref="FormatException">The folder has none.</exception>
    public static (Handover Handover, ComposeResult Result) ReadFolder(string directory) => Read(ComposeIn(directory, "image:"), canBuild: false);

    private static string ComposeIn(string directory, string keys) => Names.Select(n => Path.Combine(directory, n)).FirstOrDefault(File.Exists)
        ?? throw new FormatException($"{directory} has no compose.yaml; write one that names the services, each with {keys}.");

    /// <summary>A bundle is a tar, which begins with the name of its first member.</summary>
    private static async Task<bool> IsBundleAsync(string file, CancellationToken stop)
    {
        // A pax header may come before the first member, with a name of its own.
        var start = new byte[2048];
        await using var stream = File.OpenRead(file);
        return Encoding.ASCII.GetString(start, 0, await stream.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, stop)) is var text && text.Contains("ustar", StringComparison.Ordinal) && text.Contains(BundleManifest.Name + '\0', StringComparison.Ordinal);
    }

    private static async Task<int> BundleAsync(Client client, string file, TextWriter output, CancellationToken stop)
    {
        using var answer = await client.SendAsync(new(HttpMethod.Post, "v1/bundle") { Content = new StreamContent(File.OpenRead(file)) }, stop);
        await output.WriteLineAsync("The bundle is taken; see 'supervisor status'.");
        return 0;
    }

    /// <summary>A compose file with all the files beside it that it asks for.</summary>
    private static (Handover Handover, ComposeResult Result) Read(string file, bool canBuild)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var environment = Path.Combine(folder, ".env");
        var handover = new Handover(File.ReadAllText(file), File.Exists(environment) ? File.ReadAllText(environment) : null, [], []);
        var result = ComposeFile.Read(handover.Compose, handover.Environment, name =>
        {
            var path = Path.Combine(folder, name);
            if (!File.Exists(path)) return null;
            return handover.Files[name] = File.ReadAllBytes(path);
        }, Path.GetFileName(file), built: canBuild ? service => $"not-yet-built/{service.ToLowerInvariant()}" : null);
        return (handover, result);
    }

    private static async Task<(int Code, HandoverReport? Report)> HandOverAsync(Client client, Handover handover, TextWriter errors, CancellationToken stop)
    {
        try
        {
            using var answer = await client.SendAsync(new(HttpMethod.Post, "v1/compose") { Content = Client.Json(handover, StateJson.Default.Handover) }, stop);
            var report = JsonSerializer.Deserialize(await answer.Content.ReadAsStringAsync(stop), ApiJson.Default.HandoverReport)!;
            foreach (var remark in report.Errors) await errors.WriteLineAsync(remark);
            return (0, report);
        }
        catch (RefusedException e) when (e.Status == 422)
        {
            foreach (var remark in JsonSerializer.Deserialize(e.Message, ApiJson.Default.HandoverReport)!.Errors) await errors.WriteLineAsync(remark);
            return (2, null);
        }
    }

    /// <summary>The image that was built, or null when the build failed.</summary>
    private async Task<string?> BuildAsync(string folder, string app, BuildSpec spec, CancellationToken stop)
    {
        await output.WriteLineAsync($"==> building {spec.Service} from {spec.Context}");
        using var request = new HttpRequestMessage(HttpMethod.Post, $"v1/build/{Uri.EscapeDataString(app)}/{Uri.EscapeDataString(spec.Service)}") { Content = new StreamedContent((to, c) => ContextPack.WriteAsync(folder, spec, to, c)) };
        request.Headers.Add("x-build", Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(spec, ApiJson.Default.BuildSpec)));
        using var lines = new StreamReader(await client.StreamAsync(request, stop), Encoding.UTF8);
        while (await lines.ReadLineAsync(stop) is { } text)
        {
            var line = JsonSerializer.Deserialize(text, ApiJson.Default.BuildLine)!;
            if (line.Image is { } image) return image;
            if (line.Error is { } error)
            {
                await errors.WriteLineAsync($"{spec.Service} cannot be built: {error}");
                return null;
            }

            if (line.Text?.TrimEnd() is { Length: > 0 } said) await output.WriteLineAsync($"    {spec.Service} | {said}");
        }

        await errors.WriteLineAsync($"The device stopped answering while it built {spec.Service}.");
        return null;
    }

    /// <summary>Tells what the device does with the release until it is good, or until the old one is back.</summary>
    private async Task<int> WaitAsync(string app, string fingerprint, CancellationToken stop)
    {
        var clock = Stopwatch.StartNew();
        var told = new HashSet<string>();
        while (true)
        {
            var status = await client.GetAsync("v1/status", ApiJson.Default.StatusReport, stop);
            foreach (var service in status.Services.Where(s => s.App == app)) await TellAsync($"{service.Container} {service.Name} is {(service.State == "exited" ? $"exited with {service.ExitCode}" : service.State)}{(service.Health.Length == 0 ? "" : $", {service.Health}")}");
            foreach (var wait in status.Waiting) await TellAsync($"waiting for {wait}");
            switch (status.Releases.Find(r => r.App == app && r.Fingerprint == fingerprint))
            {
                case { State: "good" }:
                    await output.WriteLineAsync($"==> good after {clock.Elapsed.TotalSeconds:0} s");
                    return 0;
                case { State: "bad" } bad:
                    await errors.WriteLineAsync($"==> rolled back after {clock.Elapsed.TotalSeconds:0} s: {bad.Reason}. The last good release runs; 'supervisor logs' has the failed one's last words.");
                    return 1;
                case null:
                    await errors.WriteLineAsync("==> another release took its place");
                    return 1;
            }

            await Task.Delay(Look, stop);
        }

        async Task TellAsync(string text)
        {
            if (told.Add(text)) await output.WriteLineAsync($"    +{clock.Elapsed.TotalSeconds,-4:0} {text}");
        }
    }
}
