using System.Collections.Concurrent;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>A fleet as a device sees it: behaves as the recorded walk through open-balena-api does, on loopback. Independent of the code under
/// test. Also gives the registry tokens, as the real one does.</summary>
internal sealed class FleetServer : IAsyncDisposable
{
    private readonly MiniHttp http;
    private readonly string scheme;
    private readonly ECDsa tokenKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <param name="certificate">With it the fleet is asked by TLS.</param>
    public FleetServer(X509Certificate2? certificate = null) => (http, scheme) = (new(AnswerAsync, certificate), certificate is null ? "http" : "https");

    public sealed record Seen(string Method, string Path, string Query, string? Authorization, string Body, int Status);

    public sealed class Device
    {
        public long Id { get; init; }
        public string Key { get; set; } = "";
        public string Name { get; set; } = "twilight-voice";
        public JsonObject Config { get; set; } = new() { ["RESIN_SUPERVISOR_POLL_INTERVAL"] = "10000" };
        public JsonObject Apps { get; set; } = [];
        public JsonObject Reported { get; } = [];
        public JsonObject Tags { get; } = [];
        public ConcurrentQueue<JsonObject> Logs { get; } = new();
    }

    public int Port => http.Port;
    public string Endpoint => $"{scheme}://127.0.0.1:{Port}";
    public string ProvisioningKey { get; } = "OoCYDrGbcvBvKAX4YHO7mjdaJpsAlYPj";
    public ConcurrentDictionary<string, Device> Devices { get; } = new();
    public ConcurrentQueue<Seen> Requests { get; } = new();

    /// <summary>Image locations and commits the fleet knows; a report about others is refused. Empty: it knows all.</summary>
    public HashSet<string> Commits { get; } = [];

    /// <summary>Answers some other status than it would: a fleet that is ill.</summary>
    public Func<string, string, (int Status, string Body)?> Fault { get; set; } = (_, _) => null;
    public string? RetryAfter { get; set; }
    public string RegistryService { get; set; } = "";

    /// <summary>The certificate (PEM) by which the registry knows the tokens.</summary>
    public string TokenCertificate { get; private set; } = "";

    public void UseTokens(string registryService)
    {
        RegistryService = registryService;
        using var certificate = Certificate();
        TokenCertificate = certificate.ExportCertificatePem();
    }

    public async ValueTask DisposeAsync()
    {
        await http.DisposeAsync();
        tokenKey.Dispose();
    }

    private async Task<MiniAnswer> AnswerAsync(MiniRequest request)
    {
        var logs = request.Path.EndsWith("/log-stream", StringComparison.Ordinal);
        var body = logs ? "" : await new StreamReader(request.Body).ReadToEndAsync();
        var (status, answer, etag) = Fault(request.Method, request.Path) is { } fault ? (fault.Status, fault.Body, null)
            : logs ? await LogsAsync(request)
            : Route(request, body);
        Requests.Enqueue(new(request.Method, request.Path, request.Query, request.Header("authorization"), body, status));
        var headers = new List<(string, string)> { ("Content-Type", answer.StartsWith('{') ? "application/json; charset=utf-8" : "text/html; charset=utf-8"), ("Date", DateTime.UtcNow.ToString("R")), ("X-Powered-By", "Express"), ("Connection", "keep-alive") };
        if (etag is not null) headers.Add(("ETag", etag));
        if (RetryAfter is not null) headers.Add(("Retry-After", RetryAfter));
        return new(status, status == 304 ? "" : answer, [.. headers]);
    }

    private (int, string, string?) Route(MiniRequest request, string body)
    {
        var parts = request.Path.Trim('/').Split('/');
        var key = request.Header("authorization")?.Replace("Bearer ", "", StringComparison.Ordinal);
        return (request.Method, parts) switch
        {
            ("POST", ["device", "register"]) => Register(request.Parameter("apikey"), JsonNode.Parse(body)!.AsObject()),
            ("POST", ["api-key", "device", var id, "device-key"]) => Exchange(long.Parse(id), key, JsonNode.Parse(body)!.AsObject()),
            ("GET", ["v7", "device"]) => Find(request.Query, key),
            ("GET", ["v7", "device_tag"]) => Tags(request.Query, key),
            ("GET", ["device", "v3", var uuid, "state"]) => Target(uuid, key, request.Header("if-none-match")),
            ("PATCH", ["device", "v3", "state"]) => Report(JsonNode.Parse(body)!.AsObject(), key),
            ("PATCH", ["device", "v3", "tags"]) => SetTags(JsonNode.Parse(body)!.AsObject(), key),
            ("GET", ["auth", "v1", "token"]) => Token(request),
            _ => (404, "", null),
        };
    }

    private (int, string, string?) Register(string? key, JsonObject body)
    {
        if (key != ProvisioningKey) return (401, "Unauthorized", null);
        var device = new Device { Id = Devices.Count + 1, Key = body["api_key"]!.ToString() };
        if (!Devices.TryAdd(body["uuid"]!.ToString(), device)) return (409, "\"uuid\" must be unique.", null);
        return (201, new JsonObject { ["id"] = device.Id, ["uuid"] = body["uuid"]!.ToString(), ["api_key"] = device.Key }.ToJsonString(), null);
    }

    private (int, string, string?) Exchange(long id, string? key, JsonObject body)
    {
        if (key != ProvisioningKey) return (401, "", null);
        var device = Devices.Values.FirstOrDefault(d => d.Id == id);
        if (device is null) return (404, "", null);
        device.Key = body["apiKey"]!.ToString();
        return (200, $"\"{device.Key}\"", null);
    }

    private (int, string, string?) Find(string query, string? key)
    {
        var device = Devices.FirstOrDefault(d => query.Contains(d.Key, StringComparison.Ordinal));
        if (key != ProvisioningKey && Devices.Values.All(d => d.Key != key)) return (401, "", null);
        var found = new JsonArray();
        if (device.Value is not null && (key == ProvisioningKey || key == device.Value.Key)) found.Add((JsonNode)new JsonObject { ["id"] = device.Value.Id, ["device_name"] = device.Value.Name });
        return (200, new JsonObject { ["d"] = found }.ToJsonString(), null);
    }

    private (int, string, string?) Tags(string query, string? key)
    {
        var device = Devices.FirstOrDefault(d => query.Contains(d.Key, StringComparison.Ordinal)).Value;
        if (device is null || device.Key != key) return (401, "", null);
        return (200, new JsonObject { ["d"] = new JsonArray([.. device.Tags.Select((t, i) => (JsonNode)new JsonObject { ["id"] = i + 1, ["tag_key"] = t.Key, ["value"] = t.Value!.ToString() })]) }.ToJsonString(), null);
    }

    private (int, string, string?) Target(string uuid, string? key, string? known)
    {
        // The same answer as to "nothing new": so says the real one.
        if (!Devices.TryGetValue(uuid, out var device)) return (304, "", null);
        if (device.Key != key) return (401, "", null);
        var text = new JsonObject { [uuid] = new JsonObject { ["name"] = device.Name, ["apps"] = device.Apps.DeepClone(), ["config"] = device.Config.DeepClone() } }.ToJsonString();
        var etag = $"W/\"{text.Length:x}-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text))).TrimEnd('=')}\"";
        return known == etag ? (304, "", etag) : (200, text, etag);
    }

    private (int, string, string?) Report(JsonObject body, string? key)
    {
        var (uuid, report) = (body.First().Key, body.First().Value!.AsObject());
        if (!Devices.TryGetValue(uuid, out var device) || device.Key != key) return (401, "", null);
        if (report["api_port"] is { } port && port.GetValueKind() != JsonValueKind.Number) return (400, "api_port must be a number", null);
        foreach (var app in report["apps"]?.AsObject().Select(a => a.Value!.AsObject()) ?? [])
            foreach (var (commit, _) in app["releases"]?.AsObject() ?? [])
                if (Commits.Count > 0 && !Commits.Contains(commit)) return (401, "", null);
        lock (device.Reported) foreach (var (name, value) in report) device.Reported[name] = value?.DeepClone();
        return (200, "OK", null);
    }

    private (int, string, string?) SetTags(JsonObject body, string? key)
    {
        if (!Devices.TryGetValue(body.First().Key, out var device) || device.Key != key) return (401, "", null);
        foreach (var (name, value) in body.First().Value!.AsObject()) device.Tags[name] = value?.DeepClone();
        return (200, "OK", null);
    }

    private async Task<(int, string, string?)> LogsAsync(MiniRequest request)
    {
        var uuid = request.Path.Split('/')[3];
        if (request.Header("content-type") != "application/x-ndjson") return (415, "Streaming requests require Content-Type application/x-ndjson", null);
        if (!Devices.TryGetValue(uuid, out var device) || device.Key != request.Header("authorization")?.Replace("Bearer ", "", StringComparison.Ordinal)) return (401, "", null);
        await using var stream = request.Header("content-encoding") == "gzip" ? new GZipStream(request.Body, CompressionMode.Decompress) : request.Body;
        using var reader = new StreamReader(stream);
        while (await reader.ReadLineAsync() is { } line) device.Logs.Enqueue(JsonNode.Parse(line)!.AsObject());
        return (201, "", null);
    }

    /// <summary>A token for the registry, when device and key belong together.</summary>
    private (int, string, string?) Token(MiniRequest request)
    {
        var basic = request.Header("authorization") is { } header && header.StartsWith("Basic ", StringComparison.Ordinal) ? Encoding.UTF8.GetString(Convert.FromBase64String(header[6..])).Split(':', 2) : null;
        var known = basic is [var user, var password] && user.StartsWith("d_", StringComparison.Ordinal) && Devices.TryGetValue(user[2..], out var device) && device.Key == password;
        var admin = basic is ["admin", "admin"];
        if (!known && !admin) return (401, "", null);
        var scope = (request.Parameter("scope") ?? "").Split(':');
        var access = new JsonArray();
        if (scope.Length == 3) access.Add((JsonNode)new JsonObject { ["type"] = scope[0], ["name"] = scope[1], ["actions"] = new JsonArray([.. (admin ? scope[2].Split(',') : ["pull"]).Select(a => (JsonNode)a)]) });
        using var certificate = X509Certificate2.CreateFromPem(TokenCertificate);
        var now = DateTimeOffset.UtcNow;
        var head = new JsonObject { ["alg"] = "ES256", ["typ"] = "JWT", ["x5c"] = new JsonArray((JsonNode)Convert.ToBase64String(certificate.RawData)) };
        var claims = new JsonObject { ["iss"] = "fleet.test", ["sub"] = basic![0], ["aud"] = RegistryService, ["exp"] = now.AddMinutes(5).ToUnixTimeSeconds(), ["nbf"] = now.AddMinutes(-1).ToUnixTimeSeconds(), ["iat"] = now.ToUnixTimeSeconds(), ["jti"] = Guid.NewGuid().ToString("N"), ["access"] = access };
        var signed = $"{Url(Encoding.UTF8.GetBytes(head.ToJsonString()))}.{Url(Encoding.UTF8.GetBytes(claims.ToJsonString()))}";
        return (200, new JsonObject { ["token"] = $"{signed}.{Url(tokenKey.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256))}" }.ToJsonString(), null);
    }

    private X509Certificate2 Certificate() => new CertificateRequest("CN=fleet.test", tokenKey, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));

    private static string Url(byte[] bytes) => Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
