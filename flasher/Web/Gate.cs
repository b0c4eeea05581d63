using System.Security.Cryptography;
using System.Text;

namespace OsBuild.Flasher.Web;

/// <summary>Who may talk to the page's server: the one browser that was given the address, and nothing that other web pages or programs of
/// other users send. Pure but for the token, which works once.</summary>
/// <param name="port">The port that the server listens on.</param>
/// <param name="token">What the address carries; good for one visit.</param>
/// <param name="session">What the browser of that visit sends from then on.</param>
internal sealed class Gate(int port, string token, string session)
{
    private int _used;

    /// <summary>No outside resources, no frames, no scripts but the page's own.</summary>
    public static IReadOnlyList<(string Name, string Value)> PageHeaders { get; } =
    [
        ("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store"), ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
    ];

    private string Cookie => $"flasher-{port}";

    /// <summary>The answer to a request that is not to be served; null when it is.</summary>
    public Answer? Stop(Request request)
    {
        // A name that resolves to 127.0.0.1 is how foreign pages get around the browser's rules (DNS rebinding).
        var host = request.Header("Host");
        if (host != $"127.0.0.1:{port}" && host != $"localhost:{port}") return Refuse("This page is reached at 127.0.0.1 only.");
        var origin = request.Header("Origin");
        var sameOrigin = origin == $"http://{host}";
        if (origin.Length > 0 && !sameOrigin) return Refuse("Another web page may not use the flasher.");
        if (request.Header("Sec-Fetch-Site") is "cross-site" or "same-site") return request.Path == "/" && request.Method == "GET" && request.Query.ContainsKey("token") ? Visit(request) : Refuse("Another web page may not use the flasher.");
        if (request.Query.ContainsKey("token") && request is { Method: "GET", Path: "/" }) return Visit(request);
        if (!HasSession(request)) return Refuse("This address works once, for the browser that opened it first. Start flasher ui again and open the new address.");
        if (request.Method == "GET") return null;
        if (request.Method != "POST" || !sameOrigin || !request.Header("Content-Type").StartsWith("application/json", StringComparison.Ordinal)) return Refuse("Only the flasher's own page may do that.");
        return null;
    }

    /// <summary>The first visit with the token becomes the session.</summary>
    private Answer Visit(Request request)
    {
        if (HasSession(request)) return ToPage([]);
        if (!Same(request.Query["token"], token) || Interlocked.Exchange(ref _used, 1) != 0)
            return Refuse("This address works once, for the browser that opened it first. Start flasher ui again and open the new address.");
        return ToPage([("Set-Cookie", $"{Cookie}={session}; Path=/; HttpOnly; SameSite=Strict")]);
    }

    private static Answer ToPage(IReadOnlyList<(string Name, string Value)> headers) => Answer.Text(303, "") with { Headers = [.. PageHeaders, ("Location", "/"), .. headers] };

    private bool HasSession(Request request) =>
        request.Header("Cookie").Split(';', StringSplitOptions.TrimEntries).Any(c => c.StartsWith(Cookie + "=", StringComparison.Ordinal) && Same(c[(Cookie.Length + 1)..], session));

    private static bool Same(string a, string b) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(a), Encoding.UTF8.GetBytes(b));

    private static Answer Refuse(string why) => Answer.Text(403, why) with { Headers = PageHeaders };
}
