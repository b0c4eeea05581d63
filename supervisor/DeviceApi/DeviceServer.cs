using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>What the device API works with.</summary>
internal sealed record DeviceParts(HostPaths Paths, Reconciler Reconciler, FleetConfig Config, DeviceKeys Keys, LocalPush Local, FleetAgent? Fleet)
{
    /// <summary>Asks PID 1 to power off or to reboot; gives what is in the way.</summary>
    public Func<bool, string?> Power { get; init; } = _ => "This host has an init of its own; use its poweroff or reboot";
}

/// <summary>balena's device API, versions 1 and 2, on TCP: for services, for the fleet's tunnel and for the balena CLI. Every call but the two that
/// say "I am here" needs a key, except on a device that is explicitly in development mode.</summary>
internal sealed partial class DeviceServer(DeviceParts parts, ILogger log)
{
    /// <summary>A pushed target has some kilobytes.</summary>
    private const int MaxBody = 1 << 20;
    private readonly HostReadings host = new(parts.Paths);
    private readonly ServiceActions actions = new(parts.Reconciler);
    private readonly PurgeMark purge = new(Path.Combine(new Places(parts.Paths).StateDirectory, "purging"));
    private readonly RateLimit requests = new(100, 20);
    private readonly RateLimit refusals = new(20, 0.5);

    private Reconciler Reconciler => parts.Reconciler;
    private TargetState? Target => parts.Reconciler.Journal.Memory.Target;

    public async Task RunAsync(CancellationToken stop)
    {
        purge.Recover(Reconciler);
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(new IPEndPoint(IPAddress.IPv6Any, parts.Config.ListenPort));
        listener.Listen(32);
        await new HttpServer(HandleAsync, log, MaxBody) { Gate = request => IsLifeSign(request) || CallerOf(request) is not null ? null : Refuse() }.ListenAsync(listener, stop);
    }

    public async Task<HttpAnswer> HandleAsync(HttpRequest request, CancellationToken stop)
    {
        if (!requests.Allow(Reconciler.Now)) return Failed(429, "Too many requests");
        if (request is { Method: "GET", Path: "/ping" }) return HttpAnswer.Text(200, "OK");
        if (request is { Method: "GET", Path: "/v1/healthy" }) return HttpAnswer.Text(Reconciler.Problems.ContainsKey("engine") ? 500 : 200, "OK");
        if (CallerOf(request) is not { } caller) return Refuse();
        try
        {
            var path = request.Path.Trim('/').Split('/');
            var body = request.Body.Length == 0 ? [] : path is ["v2", "local", ..] ? [] : JsonNode.Parse(request.Body) as JsonObject ?? throw new JsonException("the body is not an object");
            return await (path[0] == "v1" ? VersionOneAsync(request.Method, path, body, caller, stop) : VersionTwoAsync(request, path, body, caller, stop)) ?? Failed(404, "Not found");
        }
        catch (LockedException e)
        {
            return Failed(423, e.Message);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return Failed(400, e.Message);
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException or IOException or OperationCanceledException && !stop.IsCancellationRequested)
        {
            return Failed(503, e.Message);
        }
    }

    private static bool IsLifeSign(HttpRequest request) => request is { Method: "GET", Path: "/ping" or "/v1/healthy" };

    private Caller? CallerOf(HttpRequest request) => parts.Config.DevelopmentMode ? Caller.Owner : parts.Keys.Identify(KeyOf(request), Target);

    /// <summary>The answer to a stranger; after some of them, without looking again.</summary>
    private HttpAnswer Refuse() => refusals.Allow(Reconciler.Now) ? Failed(401, "Unauthorized") : Failed(429, "Too many requests");

    /// <summary>The key of a request, as a parameter or in the header in either of its forms.</summary>
    public static string? KeyOf(HttpRequest request)
    {
        if (request.Query.TryGetValue("apikey", out var key)) return key;
        return request.Header("authorization")?.Split(' ', 2) is [var scheme, var value] && (scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase) || scheme.Equals("ApiKey", StringComparison.OrdinalIgnoreCase)) ? value.Trim() : null;
    }

    private DeviceFacts Facts => host.Facts(parts.Config) with { Uuid = parts.Fleet?.Identity.Uuid ?? "" };

    private Dictionary<string, int> Downloads => Reconciler.Steps.Percents();

    /// <summary>What would be done now. Asked afresh, so that it is right in the very moment after a new target was taken.</summary>
    private async Task<List<Step>?> PlanAsync(CancellationToken stop)
    {
        try
        {
            return Target is { } target ? Planner.NextSteps(await Reconciler.ObserveAsync(stop), target, Reconciler.Now) : [];
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException)
        {
            return null;
        }
    }

    private NumberedApp App(long? id, Caller caller)
    {
        var app = NumberedApp.All(Target).Find(a => a.Id == id) ?? throw new InvalidOperationException("There is no application with this appId");
        return caller.MayTouch(app.Release.App) ? app : throw new InvalidOperationException("Application is not available");
    }

    private static Service ServiceOf(NumberedApp app, string? name, long? imageId) =>
        app.Services.FirstOrDefault(s => name is not null ? s.Service.Name == name : s.ImageId == imageId).Service ?? throw new InvalidOperationException("There is no service with this name or imageId");

    private static bool Force(JsonObject body) => body["force"]?.ToString() is "true" or "True" or "1";

    private static long? Number(JsonNode? node) => long.TryParse(node?.ToString(), out var number) ? number : null;

    private static HttpAnswer Json(JsonObject json, int status = 200) => HttpAnswer.Json(Encoding.UTF8.GetBytes(json.ToJsonString()), status);

    private static HttpAnswer Done(int status = 200) => Json(new() { ["Data"] = "OK", ["Error"] = null }, status);

    private static HttpAnswer Success(params ReadOnlySpan<(string Name, JsonNode? Value)> values)
    {
        var answer = new JsonObject { ["status"] = "success" };
        foreach (var (name, value) in values) answer[name] = value;
        return Json(answer);
    }

    public static HttpAnswer Failed(int status, string message) => Json(new() { ["status"] = "failed", ["message"] = message }, status);
}
