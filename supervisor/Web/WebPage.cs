using System.Collections.Frozen;
using System.Reflection;
using System.Security.Cryptography;
using OsBuild.Supervisor.Api;

namespace OsBuild.Supervisor.Web;

/// <summary>The page: three files inside the program, nothing from outside, nothing built.</summary>
internal static class WebPage
{
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

    private static readonly FrozenDictionary<string, (string Resource, string Type)> Files = new Dictionary<string, (string, string)>
    {
        ["/"] = ("index.html", "text/html; charset=utf-8"),
        ["/app.js"] = ("app.js", "text/javascript; charset=utf-8"),
        ["/style.css"] = ("style.css", "text/css; charset=utf-8"),
        ["/icon.svg"] = ("icon.svg", "image/svg+xml"),
    }.ToFrozenDictionary();

    public static bool Has(string path) => Files.ContainsKey(path);

    /// <summary>A file of the page, or null when the path is none.</summary>
    public static HttpAnswer? Find(HttpRequest request)
    {
        if (!Files.TryGetValue(request.Path, out var file)) return null;
        using var resource = Assembly.GetExecutingAssembly().GetManifestResourceStream("web." + file.Resource)!;
        var body = new byte[resource.Length];
        resource.ReadExactly(body);
        var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body))[..16]}\"";
        var headers = new Dictionary<string, string> { ["ETag"] = tag, ["Cache-Control"] = "no-cache", ["Content-Security-Policy"] = Policy, ["X-Content-Type-Options"] = "nosniff", ["Referrer-Policy"] = "no-referrer" };
        return request.Header("if-none-match") == tag ? new(304, file.Type, []) { Headers = headers } : new(200, file.Type, body) { Headers = headers };
    }
}
