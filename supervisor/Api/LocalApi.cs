using System.Net;
using System.Net.Sockets;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.Web;
using Serilog;

namespace OsBuild.Supervisor.Api;

/// <summary>The API on a unix socket: only root on the device reaches it, so the socket is the key. It is also where the key is shown.</summary>
internal sealed class LocalApi(HostPaths paths, Routes routes, AccessKey key, ILogger log)
{
    public async Task RunAsync(CancellationToken stop)
    {
        File.Delete(paths.ApiSocket);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(paths.ApiSocket));
        if (OperatingSystem.IsLinux()) File.SetUnixFileMode(paths.ApiSocket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen(16);
        await new HttpServer(HandleAsync, log) { Streams = Routes.Streams }.ListenAsync(listener, stop);
    }

    private async Task<HttpAnswer> HandleAsync(HttpRequest request, CancellationToken stop)
    {
        if (request.Path != "/v1/key") return await routes.HandleAsync(request, stop);
        if (request.Method == "POST") key.Renew();
        return Routes.Json(new KeyReport(key.Text, key.WriteError is { } error ? $"the key could not be kept ({error}); after a reboot it is another one" : null), ApiJson.Default.KeyReport);
    }
}

/// <summary>The API and the page on the device's addresses. Nothing but the page itself is there without the key.</summary>
internal sealed class NetworkApi(HostPaths paths, Routes routes, AccessKey key, ILogger log)
{
    public async Task RunAsync(CancellationToken stop)
    {
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(new IPEndPoint(IPAddress.IPv6Any, paths.ApiPort));
        listener.Listen(64);
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        await File.WriteAllTextAsync(Path.Combine(paths.Run, "api-port"), $"{port}\n", stop);
        log.Information("the API and the page are on port {Port}", port);
        // On the console of a board the key is for whoever stands before it.
        if (File.Exists(Path.Combine(paths.Run, "host.json"))) HostEvent.Report("page", $"port {port}, key {key.Text}");
        await new HttpServer(HandleAsync, log) { Streams = Routes.Streams, Gate = request => Gatekeeper.Look(request, key, DateTimeOffset.UtcNow) }.ListenAsync(listener, stop);
    }

    private async Task<HttpAnswer> HandleAsync(HttpRequest request, CancellationToken stop)
    {
        if (request is { Method: "GET" } && WebPage.Find(request) is { } page) return page;
        return (request.Method, request.Path) switch
        {
            ("POST", "/v1/login") => Cookie(key.Session(DateTimeOffset.UtcNow), "2592000"),
            ("POST", "/v1/logout") => Cookie("", "0"),
            _ => await routes.HandleAsync(request, stop),
        };
    }

    /// <summary>The gate let the key pass; the browser keeps a session instead of the key itself.</summary>
    private static HttpAnswer Cookie(string value, string seconds) => HttpAnswer.Text(200, "") with { Headers = new Dictionary<string, string> { ["Set-Cookie"] = $"{AccessKey.CookieName}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict" } };
}
