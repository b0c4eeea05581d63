using System.Collections.Concurrent;
using System.Text.RegularExpressions;

namespace OsBuild.Supervisor.State;

/// <summary>An image's name as engines understand it. Two spellings of one image have the same <see cref="Full"/>.</summary>
internal sealed record ImageReference(string Registry, string Path, string? Tag, string? Digest)
{
    /// <summary>The complete name: <c>web</c> is <c>docker.io/library/web:latest</c>.</summary>
    public string Full => $"{Registry}/{Path}{(Tag is null ? "" : ":" + Tag)}{(Digest is null ? "" : "@" + Digest)}";

    /// <summary>The name without its version, as the pull call wants it.</summary>
    public string Repository => $"{Registry}/{Path}";

    public static bool TryParse(string? text, out ImageReference reference)
    {
        reference = new("", "", null, null);
        if (text is null || Pattern.Match(text) is not { Success: true } match) return false;
        var name = match.Groups["name"].Value;
        var slash = name.IndexOf('/');
        var first = slash < 0 ? "" : name[..slash];
        var hasRegistry = first.Contains('.') || first.Contains(':') || first == "localhost";
        var registry = hasRegistry ? first : "docker.io";
        var path = hasRegistry ? name[(slash + 1)..] : name;
        if (registry is "index.docker.io" or "registry-1.docker.io") registry = "docker.io";
        if (registry == "docker.io" && !path.Contains('/')) path = "library/" + path;
        // podman names what was built or loaded without a registry localhost/NAME; the user wrote NAME.
        if (registry == "localhost") (registry, path) = ("docker.io", path.Contains('/') ? path : "library/" + path);
        var digest = match.Groups["digest"] is { Success: true } d ? d.Value : null;
        var tag = match.Groups["tag"] is { Success: true } t ? t.Value : digest is null ? "latest" : null;
        reference = new(registry, path, tag, digest);
        return true;
    }

    /// <summary>The full name, or the text itself when it is no valid name (an image id).</summary>
    public static string Normalize(string text)
    {
        if (Known.TryGetValue(text, out var full)) return full;
        // Every round asks for the same few; what is not asked for any more goes with the rest.
        if (Known.Count >= MostKnown) Known.Clear();
        return Known[text] = TryParse(text, out var reference) ? reference.Full : text;
    }

    private const int MostKnown = 1024;
    private static readonly ConcurrentDictionary<string, string> Known = new();

    // Interpreted: generated it would be the largest function of the program, and each name is looked at once.
    private static readonly Regex Pattern = new(@"^(?<name>(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]{1,5})?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(?::(?<tag>[\w][\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$", RegexOptions.CultureInvariant);
}
