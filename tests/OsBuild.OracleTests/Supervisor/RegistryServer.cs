using System.Diagnostics;
using Docker.DotNet.Models;
using OsBuild.Supervisor.Engine;
using OsBuild.Tests.Supervisor.Fleet;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>Debian's docker-registry with its own store; it takes nobody who has no token of the fleet.</summary>
internal sealed class RegistryServer : IAsyncDisposable
{
    private readonly Process process;
    private readonly string directory;

    private RegistryServer(Process process, string directory, int port) => (this.process, this.directory, Port) = (process, directory, port);

    public int Port { get; }
    public string Host => $"127.0.0.1:{Port}";

    public static async Task<RegistryServer> StartAsync(string directory, FleetServer fleet)
    {
        Judge.Require("docker-registry");
        Directory.CreateDirectory(directory);
        var port = Device.FreePort();
        fleet.UseTokens($"127.0.0.1:{port}");
        await File.WriteAllTextAsync(Path.Combine(directory, "token.crt"), fleet.TokenCertificate);
        await File.WriteAllTextAsync(Path.Combine(directory, "config.yml"), $$"""
            version: 0.1
            log: { level: warn }
            storage: { filesystem: { rootdirectory: {{directory}}/store }, delete: { enabled: true } }
            http: { addr: "127.0.0.1:{{port}}" }
            auth: { token: { realm: "{{fleet.Endpoint}}/auth/v1/token", service: "127.0.0.1:{{port}}", issuer: fleet.test, rootcertbundle: {{directory}}/token.crt } }
            """);
        var process = Process.Start(new ProcessStartInfo("/bin/sh") { ArgumentList = { "-c", $"exec docker-registry serve {directory}/config.yml >{directory}/log 2>&1" } })!;
        var registry = new RegistryServer(process, directory, port);
        using var http = new HttpClient();
        for (var i = 0; ; i++)
        {
            try
            {
                // It asks for a token: it is there.
                using var answer = await http.GetAsync($"http://{registry.Host}/v2/");
                Assert.Equal(System.Net.HttpStatusCode.Unauthorized, answer.StatusCode);
                return registry;
            }
            catch (HttpRequestException) when (i < 100 && !process.HasExited)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Puts an image into the registry as a fleet's builder does, takes it off the engine again, and gives the location the fleet would name.</summary>
    public async Task<string> PushAsync(EngineClient engine, string name, byte[] archive)
    {
        var (local, repository) = ($"push-{name}:1", $"{Host}/v2/{name}");
        await engine.LoadAsync(new MemoryStream(archive), CancellationToken.None);
        await engine.TagAsync(local, repository, "latest", CancellationToken.None);
        var digest = "";
        var problem = "";
        await engine.Docker.Images.PushImageAsync(repository, new ImagePushParameters { Tag = "latest" }, new AuthConfig { Username = "admin", Password = "admin", ServerAddress = Host }, new Listen(message =>
        {
            if (message.Error is { } error) problem = error.Message;
            if (message.Status?.Split("digest: ") is [_, var rest]) digest = rest.Split(' ')[0];
        }), CancellationToken.None);
        Assert.True(digest.Length > 0, $"the push failed: {problem}");
        // Under all its names, or the device would find it there and never ask the registry.
        var id = (await engine.InspectImageAsync(local, CancellationToken.None))!.ID!;
        await engine.RemoveImageAsync(id, CancellationToken.None);
        Assert.Null(await engine.InspectImageAsync(id, CancellationToken.None));
        return $"{repository}@{digest}";
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            Judge.Run("kill", $"{process.Id}");
            await process.WaitForExitAsync();
        }

        process.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    private sealed class Listen(Action<JSONMessage> action) : IProgress<JSONMessage>
    {
        public void Report(JSONMessage value) => action(value);
    }
}
