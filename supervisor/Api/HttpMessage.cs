using System.Net;
using System.Text;

namespace OsBuild.Supervisor.Api;

/// <summary>A request as far as the supervisor's faces need it.</summary>
internal sealed record HttpRequest(string Method, string Path, IReadOnlyDictionary<string, string> Query, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    /// <summary>The body itself, for a call that takes it as it comes; null when <see cref="Body"/> holds all of it.</summary>
    public Stream? Input { get; init; }

    /// <summary>Who asks; null on a unix socket.</summary>
    public IPAddress? From { get; init; }

    public string? Header(string name) => Headers.GetValueOrDefault(name.ToLowerInvariant());

    public string? Cookie(string name)
    {
        foreach (var part in (Header("cookie") ?? "").Split(';', StringSplitOptions.TrimEntries))
            if (part.StartsWith(name + "=", StringComparison.Ordinal)) return part[(name.Length + 1)..];
        return null;
    }
}

/// <summary>An answer: a body at once, or a stream that is written for as long as there is something to say.</summary>
internal sealed record HttpAnswer(int Status, string ContentType, byte[] Body)
{
    public Func<Stream, CancellationToken, Task>? Stream { get; init; }
    public IReadOnlyDictionary<string, string>? Headers { get; init; }

    public static HttpAnswer Text(int status, string text) => new(status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));

    public static HttpAnswer Json(byte[] json, int status = 200) => new(status, "application/json", json);

    public static string Reason(int status) => status switch
    {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        423 => "Locked",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    };
}
