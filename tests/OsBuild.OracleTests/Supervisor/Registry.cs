using System.Diagnostics;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>What goes wrong between the engine and its registry.</summary>
/// <param name="Status">The answer instead of the real one; 0 passes on.</param>
/// <param name="Blobs">True: only downloads of content are hit; false: everything.</param>
internal sealed record RegistryFault(int Status = 0, bool Blobs = false)
{
    /// <summary>The connection ends after this many bytes of content.</summary>
    public int? CutAfter { get; init; }

    /// <summary>One byte of the content is another.</summary>
    public bool Flip { get; init; }

    /// <summary>The registry takes the request and says nothing, until it is well again: then the connection ends, as when its process or its machine
    /// was started anew. (dockerd 20.10 waits for such an answer for ever, and later pulls of the same layer wait with it.)</summary>
    public bool Silent { get; init; }
}

/// <summary>A real registry (Debian's docker-registry) with a gate in front of it that can be made to fail.</summary>
internal sealed class Registry : IAsyncDisposable
{
    private const string Manifest = "application/vnd.docker.distribution.manifest.v2+json";

    private readonly string directory = $"/tmp/osb-reg-{Environment.ProcessId}-{Device.FreePort()}";
    private readonly int innerPort = Device.FreePort();
    private readonly HttpListener gate = new();
    private readonly HttpClient client = new();
    private readonly CancellationTokenSource stop = new();
    private readonly Process process;
    private readonly Task serving;
    private CancellationTokenSource silence = new();

    private Registry()
    {
        Judge.Require("docker-registry");
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "config.yml"), $"version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {directory}/data }} }}\nhttp: {{ addr: 127.0.0.1:{innerPort} }}\n");
        process = Process.Start(new ProcessStartInfo("/bin/sh") { ArgumentList = { "-c", $"exec docker-registry serve {directory}/config.yml >{directory}/log 2>&1" } })!;
        gate.Prefixes.Add($"http://127.0.0.1:{Port}/");
        gate.Start();
        serving = ServeAsync();
    }

    public int Port { get; } = Device.FreePort();

    /// <summary>How the registry fails now; null when it does not.</summary>
    public RegistryFault? Fault
    {
        get;
        set
        {
            field = value;
            Interlocked.Exchange(ref silence, new()).Cancel();
        }
    }

    public int Requests { get; private set; }

    public static async Task<Registry> StartAsync()
    {
        var registry = new Registry();
        for (var i = 0; i < 600; i++)
        {
            try
            {
                using var answer = await registry.client.GetAsync($"http://127.0.0.1:{registry.innerPort}/v2/");
                return registry;
            }
            catch (HttpRequestException)
            {
                await Task.Delay(100);
            }
        }

        Assert.Fail($"docker-registry does not start: {File.ReadAllText(Path.Combine(registry.directory, "log"))}");
        return registry;
    }

    /// <summary>The name an engine pulls it by.</summary>
    public string Name(string image) => $"127.0.0.1:{Port}/{image}";

    /// <summary>Puts a test image into the registry and gives the name to pull it by.</summary>
    public async Task<string> PushAsync(string image, string architecture = "amd64")
    {
        var (name, tag) = (image.Split(':')[0], image.Split(':')[1]);
        var (layer, config) = TestImages.Parts(image, architecture: architecture);
        var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(layer);
        foreach (var blob in (byte[][])[config, packed.ToArray()])
        {
            using var begun = await client.PostAsync($"http://127.0.0.1:{innerPort}/v2/{name}/blobs/uploads/", null);
            using var put = await client.PutAsync($"{begun.Headers.Location}&digest={Digest(blob)}", new ByteArrayContent(blob));
            put.EnsureSuccessStatusCode();
        }

        var manifest = $$"""{"schemaVersion":2,"mediaType":"{{Manifest}}","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":{{config.Length}},"digest":"{{Digest(config)}}"},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":{{packed.Length}},"digest":"{{Digest(packed.ToArray())}}"}]}""";
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(manifest)) { Headers = { ContentType = new MediaTypeHeaderValue(Manifest) } };
        using var done = await client.PutAsync($"http://127.0.0.1:{innerPort}/v2/{name}/manifests/{tag}", content);
        done.EnsureSuccessStatusCode();
        return Name(image);
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        gate.Stop();
        await serving;
        gate.Close();
        client.Dispose();
        process.Kill();
        await process.WaitForExitAsync();
        Directory.Delete(directory, recursive: true);
    }

    private static string Digest(byte[] bytes) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(bytes));

    private async Task ServeAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var context = await gate.GetContextAsync();
                _ = Task.Run(() => AnswerAsync(context));
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        var (request, answer) = (context.Request, context.Response);
        try
        {
            Requests++;
            // Taken before the fault is, so that its end is not missed.
            var well = Volatile.Read(ref silence).Token;
            var fault = Fault is { } f && (!f.Blobs || request.Url!.AbsolutePath.Contains("/blobs/", StringComparison.Ordinal)) ? f : null;
            if (fault is { Silent: true })
            {
                using var end = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, well);
                await Task.Delay(Timeout.Infinite, end.Token);
            }

            if (fault is { Status: > 0 })
            {
                answer.StatusCode = fault.Status;
                if (fault.Status == 429) answer.Headers["Retry-After"] = "2";
                answer.Close(Encoding.UTF8.GetBytes($$"""{"errors":[{"code":"TEST","message":"answered {{fault.Status}}"}]}"""), willBlock: true);
                return;
            }

            await PassOnAsync(request, answer, fault);
        }
        catch (Exception e) when (e is HttpListenerException or HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            answer.Abort();
        }
    }

    private async Task PassOnAsync(HttpListenerRequest request, HttpListenerResponse answer, RegistryFault? fault)
    {
        using var message = new HttpRequestMessage(new HttpMethod(request.HttpMethod), $"http://127.0.0.1:{innerPort}{request.RawUrl}");
        // An engine accepts several kinds, each on a line of its own, in any order, and HttpListener keeps only the last line. Without its own kind a registry
        // gives the manifest in an older form, with a digest that it does not know afterwards.
        if (request.Url!.AbsolutePath.Contains("/manifests/", StringComparison.Ordinal)) message.Headers.TryAddWithoutValidation("Accept", Manifest);
        if (request.Headers["Range"] is { } range) message.Headers.TryAddWithoutValidation("Range", range);
        using var inner = await client.SendAsync(message, stop.Token);
        var body = await inner.Content.ReadAsByteArrayAsync(stop.Token);
        answer.StatusCode = (int)inner.StatusCode;
        foreach (var (name, values) in inner.Headers.Concat(inner.Content.Headers))
            if (name is "Content-Type" or "Docker-Content-Digest" or "Docker-Distribution-Api-Version" or "Etag" or "Content-Range") answer.Headers[name] = values.First();
        answer.ContentLength64 = inner.Content.Headers.ContentLength ?? body.Length;
        if (fault is { Flip: true } && body.Length > 0) body[body.Length / 2] ^= 1;
        if (fault is { CutAfter: { } cut } && body.Length > cut)
        {
            await answer.OutputStream.WriteAsync(body.AsMemory(0, cut), stop.Token);
            await answer.OutputStream.FlushAsync(stop.Token);
            answer.Abort();
            return;
        }

        await answer.OutputStream.WriteAsync(body, stop.Token);
        answer.Close();
    }
}
