using System.Text.Json;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Fleet;

/// <summary>A fleet's wish, read: what the device is called and configured with, and a release for every app that has a usable one.</summary>
/// <param name="Device">Name and configuration variables.</param>
/// <param name="Releases">What should run.</param>
/// <param name="Rejected">Releases that cannot run here; their apps stay as they are.</param>
/// <param name="Remarks">What was left out, for the log.</param>
internal sealed record FleetTarget(DeviceSettings Device, List<Release> Releases, List<Rejection> Rejected, List<string> Remarks);

/// <summary>A release this device will not run, and why.</summary>
internal sealed record Rejection(string App, string Commit, string Reason);

/// <summary>Reads the target state of the device API, version 3, into the releases every master is mapped to. Pure.</summary>
internal static class TargetReader
{
    /// <exception cref="JsonException">The text is not a target state of this device; the message says what is wrong.</exception>
    public static FleetTarget Read(ReadOnlyMemory<byte> json, DeviceFacts facts)
    {
        using var document = JsonDocument.Parse(json, new() { MaxDepth = 64 });
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(facts.Uuid, out var device) || device.ValueKind != JsonValueKind.Object) throw new JsonException($"the target state does not speak of the device {facts.Uuid}");
        if (!device.TryGetProperty("apps", out var apps) || apps.ValueKind != JsonValueKind.Object) throw new JsonException("the target state has no apps");
        var target = new FleetTarget(new(Text(device, "name") ?? "", Texts(device, "config")), [], [], []);
        foreach (var app in apps.EnumerateObject()) ReadApp(app.Name, app.Value, facts, target);
        return target;
    }

    private static void ReadApp(string uuid, JsonElement app, DeviceFacts facts, FleetTarget target)
    {
        if (app.ValueKind != JsonValueKind.Object || !IsName(uuid)) throw new JsonException($"the app '{uuid}' is not an app");
        // The host itself and this program are not updated as apps.
        if (Flag(app, "is_host") == true || Text(app, "class") is { } kind && kind is not ("fleet" or "block"))
        {
            target.Remarks.Add($"{Text(app, "name") ?? uuid} is not an app for containers and is left out");
            return;
        }

        if (!app.TryGetProperty("releases", out var releases) || releases.ValueKind != JsonValueKind.Object) return;
        // The fleet names at most one; more could not run at one time.
        foreach (var release in releases.EnumerateObject().Take(1))
        {
            if (release.Value.ValueKind != JsonValueKind.Object || !IsName(release.Name)) throw new JsonException($"the release '{release.Name}' is not a release");
            var ids = new ReleaseIds(Whole(app, "id") ?? 0, Text(app, "name") ?? uuid, Whole(release.Value, "id") ?? 0);
            var reader = new ReleaseReader(uuid, release.Name, ids, facts);
            if (release.Value.TryGetProperty("services", out var services) && services.ValueKind == JsonValueKind.Object)
                foreach (var service in services.EnumerateObject()) reader.Add(service.Name, service.Value, JsonOf(service.Value, "composition"));
            var read = reader.Finish(release.Value);
            target.Remarks.AddRange(reader.Remarks);
            if (read is not null) target.Releases.Add(read);
            else target.Rejected.Add(new(uuid, release.Name, string.Join("; ", reader.Errors)));
        }
    }

    public static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public static long? Whole(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.ValueKind switch
    {
        JsonValueKind.Number when value.TryGetInt64(out var number) => number,
        JsonValueKind.String when long.TryParse(value.GetString(), out var number) => number,
        _ => null,
    } : null;

    public static bool? Flag(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => null } : null;

    public static JsonElement JsonOf(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value : default;

    public static SortedDictionary<string, string> Texts(JsonElement json, string name)
    {
        var texts = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (json.TryGetProperty(name, out var map) && map.ValueKind == JsonValueKind.Object)
            foreach (var entry in map.EnumerateObject()) texts[entry.Name] = entry.Value.ValueKind switch { JsonValueKind.String => entry.Value.GetString()!, JsonValueKind.Null => "", _ => entry.Value.GetRawText() };
        return texts;
    }

    /// <summary>What may become a part of a path, a label and a container's name.</summary>
    public static bool IsName(string text) => text.Length is > 0 and <= 64 && char.IsAsciiLetterOrDigit(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}
