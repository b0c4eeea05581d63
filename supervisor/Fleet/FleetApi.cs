using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OsBuild.Supervisor.Fleet;

/// <summary>The calls a device makes to its fleet. Thin: every answer, a refusal too, is a value; only cancellation is thrown.</summary>
internal sealed class FleetApi : IDisposable
{
    public const int MaxBody = 50 << 20;
    private static readonly TimeSpan CallTime = TimeSpan.FromSeconds(59);

    // Made at the first call: a host without libssl must not fail before there is somebody to tell.
    private readonly Lazy<HttpClient> http;
    private readonly Uri endpoint;

    public FleetApi(Uri endpoint, string? rootCertificate, IWebProxy? proxy = null)
    {
        this.endpoint = endpoint;
        http = new(() => Connect(rootCertificate, proxy));
    }

    private static HttpClient Connect(string? rootCertificate, IWebProxy? proxy)
    {
        var handler = Handler(rootCertificate, proxy);
        // Kept open over polls: a new TLS connection would cost more than the poll itself.
        handler.PooledConnectionIdleTimeout = TimeSpan.FromHours(25);
        handler.ConnectTimeout = TimeSpan.FromSeconds(20);
        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>The way to a fleet: by the network's proxy, and trusting the fleet's own authority where it has one.</summary>
    /// <param name="rootCertificate">The authority (PEM), or null for the host's.</param>
    /// <param name="proxy">The proxy, or null.</param>
    public static SocketsHttpHandler Handler(string? rootCertificate, IWebProxy? proxy)
    {
        var handler = new SocketsHttpHandler { UseProxy = proxy is not null, Proxy = proxy, AllowAutoRedirect = false, UseCookies = false, ActivityHeadersPropagator = null };
        if (rootCertificate is not null) handler.SslOptions.CertificateChainPolicy = Trust(rootCertificate);
        return handler;
    }

    public Task<ApiAnswer> TargetAsync(FleetIdentity identity, string? etag, CancellationToken stop) =>
        SendAsync(HttpMethod.Get, $"/device/v3/{identity.Uuid}/state", identity.DeviceKey, null, etag, stop);

    public Task<ApiAnswer> ReportAsync(FleetIdentity identity, JsonObject difference, CancellationToken stop) =>
        SendAsync(HttpMethod.Patch, "/device/v3/state", identity.DeviceKey, new JsonObject { [identity.Uuid] = difference.DeepClone() }, null, stop);

    public Task<ApiAnswer> SetTagsAsync(FleetIdentity identity, JsonObject tags, CancellationToken stop) =>
        SendAsync(HttpMethod.Patch, "/device/v3/tags", identity.DeviceKey, new JsonObject { [identity.Uuid] = tags.DeepClone() }, null, stop);

    public Task<ApiAnswer> TagsAsync(FleetIdentity identity, CancellationToken stop) =>
        SendAsync(HttpMethod.Get, $"/v7/device_tag?$select=id,tag_key,value&$filter=device/uuid%20eq%20'{identity.Uuid}'", identity.DeviceKey, null, null, stop);

    public Task<ApiAnswer> RegisterAsync(FleetIdentity identity, FleetConfig config, DeviceFacts facts, string mac, CancellationToken stop)
    {
        var body = new JsonObject
        {
            ["application"] = config.ApplicationId,
            ["uuid"] = identity.Uuid,
            ["device_type"] = config.DeviceType,
            ["api_key"] = identity.DeviceKey,
            ["supervisor_version"] = DeviceFacts.CompatibleVersion,
            ["os_version"] = $"{facts.OsName} {facts.OsVersion}".Trim(),
            ["mac_address"] = mac,
        };
        if (config.UserId is { } user) body["user"] = user;
        return SendAsync(HttpMethod.Post, $"/device/register?apikey={Uri.EscapeDataString(config.ApiKey ?? "")}", null, body, null, stop);
    }

    /// <summary>The device's number, asked with any key that may see it.</summary>
    public async Task<(ApiAnswer Answer, long? Id)> FindAsync(string uuid, string key, CancellationToken stop)
    {
        var answer = await SendAsync(HttpMethod.Get, $"/v7/device?$select=id,device_name&$filter=uuid%20eq%20'{uuid}'", key, null, null, stop);
        try
        {
            return (answer, answer.Ok ? JsonNode.Parse(answer.Body)?["d"]?.AsArray().FirstOrDefault()?["id"]?.GetValue<long>() : null);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return (answer with { Status = 0, Error = "the fleet's answer about the device cannot be read" }, null);
        }
    }

    public Task<ApiAnswer> ExchangeKeyAsync(long device, string newKey, string key, CancellationToken stop) =>
        SendAsync(HttpMethod.Post, $"/api-key/device/{device}/device-key", key, new JsonObject { ["apiKey"] = newKey }, null, stop);

    public async Task<ApiAnswer> SendAsync(HttpMethod method, string path, string? key, JsonObject? body, string? etag, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(CallTime);
        try
        {
            using var request = new HttpRequestMessage(method, new Uri(endpoint, path));
            if (key is not null) request.Headers.Authorization = new("Bearer", key);
            if (etag is not null) request.Headers.TryAddWithoutValidation("If-None-Match", etag);
            if (body is not null) request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
            using var response = await http.Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            var bytes = await ReadAsync(response.Content, limit.Token);
            if (bytes is null) return new(0, []) { Error = $"the fleet's answer has more than {MaxBody >> 20} MiB" };
            return new((int)response.StatusCode, bytes) { ETag = response.Headers.ETag?.ToString(), RetryAfter = RetryAfter(response.Headers.RetryAfter) };
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return new(0, []) { Error = $"the fleet did not answer within {CallTime.TotalSeconds:0} s" };
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or TypeInitializationException or DllNotFoundException)
        {
            return new(0, []) { Error = Unreachable(e) };
        }
    }

    /// <summary>Sends lines for as long as <paramref name="write"/> has some: one request that does not end.</summary>
    public async Task<ApiAnswer> StreamLogsAsync(Uri? logs, FleetIdentity identity, Func<Stream, CancellationToken, Task> write, CancellationToken stop)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(logs ?? endpoint, $"/device/v2/{identity.Uuid}/log-stream"));
            request.Headers.Authorization = new("Bearer", identity.DeviceKey);
            // A refusal must come before the stream, or nobody would hear it.
            request.Headers.ExpectContinue = true;
            request.Content = new StreamedContent(write, stop);
            request.Content.Headers.ContentType = new("application/x-ndjson");
            request.Content.Headers.ContentEncoding.Add("gzip");
            using var response = await http.Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
            return new((int)response.StatusCode, []) { RetryAfter = RetryAfter(response.Headers.RetryAfter) };
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or TypeInitializationException or DllNotFoundException)
        {
            return new(0, []) { Error = Unreachable(e) };
        }
    }

    public void Dispose()
    {
        if (http.IsValueCreated) http.Value.Dispose();
    }

    private static async Task<byte[]?> ReadAsync(HttpContent content, CancellationToken stop)
    {
        if (content.Headers.ContentLength > MaxBody) return null;
        await using var stream = await content.ReadAsStreamAsync(stop);
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        for (int count; (count = await stream.ReadAsync(buffer, stop)) > 0;)
        {
            if (body.Length + count > MaxBody) return null;
            body.Write(buffer, 0, count);
        }

        return body.ToArray();
    }

    private static TimeSpan? RetryAfter(RetryConditionHeaderValue? header) => header?.Delta ?? (header?.Date is { } date && date - DateTimeOffset.UtcNow is { Ticks: > 0 } wait ? wait : null);

    private static string Unreachable(Exception e) => e switch
    {
        TypeInitializationException or DllNotFoundException => "TLS does not work on this host: libssl 1.1 or 3 is missing; add openssl to the root file system, or use an http endpoint",
        { InnerException: AuthenticationException inner } => $"the fleet's certificate is not trusted ({inner.Message}): is its root in config.json as balenaRootCA, and is the device's clock right?",
        _ => $"the fleet cannot be reached: {(e.InnerException ?? e).Message}",
    };

    private static X509ChainPolicy Trust(string pem)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPem(pem);
        return policy;
    }

    private sealed class StreamedContent(Func<Stream, CancellationToken, Task> write, CancellationToken stop) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context) => write(stream, stop);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
