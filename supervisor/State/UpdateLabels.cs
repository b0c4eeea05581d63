using System.Globalization;
using OsBuild.Supervisor.Compose;

namespace OsBuild.Supervisor.State;

/// <summary>The labels that say how a service is updated: our own and balena's. They are policy: they are taken off the container's
/// own labels, so that changing one restarts nothing.</summary>
internal static class UpdateLabels
{
    private static readonly string[] Prefixes = ["io.osbuild.update.", "io.balena.update."];

    public static Service Apply(Service service, Action<string, string> problem)
    {
        if (service.Container.Labels is not { } labels) return service;
        var policy = service.Update;
        foreach (var (label, value) in labels)
        {
            if (Prefixes.FirstOrDefault(p => label.StartsWith(p, StringComparison.Ordinal)) is not { } prefix) continue;
            var read = Read(policy, label[prefix.Length..], value, balena: prefix == Prefixes[1]);
            if (read is null) problem(label, $"the label {label} cannot be '{value}'");
            policy = read ?? policy;
        }

        var kept = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (label, value) in labels) if (!Array.Exists(Prefixes, p => label.StartsWith(p, StringComparison.Ordinal))) kept[label] = value;
        return service with { Update = policy, Container = service.Container with { Labels = kept.Count == 0 ? null : kept } };
    }

    private static UpdatePolicy? Read(UpdatePolicy policy, string name, string value, bool balena) => name switch
    {
        "strategy" => value switch
        {
            "download-then-kill" => policy with { Strategy = UpdateStrategy.DownloadThenKill },
            "kill-then-download" => policy with { Strategy = UpdateStrategy.KillThenDownload },
            "delete-then-download" => policy with { Strategy = UpdateStrategy.DeleteThenDownload },
            "hand-over" => policy with { Strategy = UpdateStrategy.HandOver, Signal = true },
            "start-first" when !balena => policy with { Strategy = UpdateStrategy.HandOver, Signal = false },
            _ => null,
        },
        // balena gives milliseconds as a bare number.
        "handover-timeout" when double.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var ms) && balena => policy with { Timeout = TimeSpan.FromMilliseconds(ms) },
        "handover-timeout" => Values.TryTime(value, out var time) ? policy with { Timeout = time } : null,
        "proving-time" when !balena => Values.TryTime(value, out var time) ? policy with { ProvingTime = time } : null,
        "rollback" when !balena => value switch { "true" => policy with { Rollback = true }, "false" => policy with { Rollback = false }, _ => null },
        _ => balena ? policy : null,
    };
}
