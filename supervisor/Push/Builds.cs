using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Docker.DotNet.Models;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.Engine;

namespace OsBuild.Supervisor.Push;

/// <summary>Builds images on the engine of the device, for a push. The files come as the body of the request, the engine's words go back line by line.</summary>
internal sealed class Builds(EngineClient engine)
{
    /// <summary>Under this name no registry answers: what was built here is nowhere else.</summary>
    private const string Registry = "osbuild.local";

    public HttpAnswer Build(string app, string service, HttpRequest request)
    {
        if (request.Header("x-build") is not { } header || JsonSerializer.Deserialize(Convert.FromBase64String(header), ApiJson.Default.BuildSpec) is not { } spec) return HttpAnswer.Text(400, "x-build must say how to build\n");
        var repository = $"{Registry}/{Name(app)}/{Name(service)}";
        return new(200, "application/x-ndjson", []) { Stream = (to, stop) => BuildAsync(repository, spec, request.Input!, to, stop) };
    }

    private async Task BuildAsync(string repository, BuildSpec spec, Stream context, Stream to, CancellationToken stop)
    {
        // The engine tells from inside a read; a queue keeps its words in order while each is sent.
        var lines = Channel.CreateUnbounded<BuildLine>(new() { SingleReader = true });
        var building = RunAsync();
        await foreach (var line in lines.Reader.ReadAllAsync(stop)) await to.WriteAsync(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(line, ApiJson.Default.BuildLine) + "\n"), stop);
        await building;

        async Task RunAsync()
        {
            try
            {
                var image = await engine.BuildAsync(Parameters(repository, spec), context, text => lines.Writer.TryWrite(new(text)), stop);
                // The name carries what it is: another content is another name, and only what changed is started anew.
                var tag = image[(image.IndexOf(':') + 1)..][..12];
                await engine.TagAsync(image, repository, tag, stop);
                lines.Writer.TryWrite(new(null, $"{repository}:{tag}"));
            }
            catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException or IOException)
            {
                lines.Writer.TryWrite(new(null, null, e.Message));
            }
            finally
            {
                lines.Writer.TryComplete();
            }
        }
    }

    private static ImageBuildParameters Parameters(string repository, BuildSpec spec) => new()
    {
        Tags = [repository + ":latest"],
        Dockerfile = spec.Inline is not null ? ContextPack.InlineName : spec.Dockerfile ?? "Dockerfile",
        Target = spec.Target!,
        BuildArgs = spec.Arguments,
        Labels = spec.Labels,
        NetworkMode = spec.Network!,
        NoCache = spec.NoCache,
        Pull = spec.Pull ? "1" : null!,
        ExtraHosts = spec.ExtraHosts,
        Remove = true,
        ForceRemove = true,
    };

    /// <summary>A part of an image name may have no capitals.</summary>
    private static string Name(string text) => text.ToLowerInvariant();
}
