using System.Text.Json;

namespace OsBuild.Supervisor.Fleet;

/// <summary>What a service demands of the device it runs on.</summary>
internal static class Contract
{
    /// <summary>The first demand of a contract that this device does not meet, in words; null when it meets all.</summary>
    /// <param name="contract">A service's contract.</param>
    /// <param name="has">What the device has: by type its slug and version, either of which may be unknown.</param>
    public static string? Unmet(JsonElement contract, IReadOnlyDictionary<string, ContractFact> has)
    {
        if (contract.ValueKind != JsonValueKind.Object || !contract.TryGetProperty("requires", out var requires) || requires.ValueKind != JsonValueKind.Array) return null;
        foreach (var demand in requires.EnumerateArray())
            if (!IsMet(demand, has, 0)) return Describe(demand);
        return null;
    }

    private static bool IsMet(JsonElement demand, IReadOnlyDictionary<string, ContractFact> has, int depth)
    {
        if (demand.ValueKind != JsonValueKind.Object || depth > 4) return false;
        if (demand.TryGetProperty("or", out var choices)) return choices.ValueKind == JsonValueKind.Array && choices.EnumerateArray().Any(c => IsMet(c, has, depth + 1));
        if (Text(demand, "type") is not { } type || !has.TryGetValue(type, out var fact)) return false;
        if (Text(demand, "slug") is { } slug && slug != fact.Slug) return false;
        return Text(demand, "version") is not { } version || fact.Version is { } ours && VersionRange.Contains(version, ours);
    }

    private static string Describe(JsonElement demand)
    {
        if (demand.ValueKind != JsonValueKind.Object) return "something that is not a demand";
        if (demand.TryGetProperty("or", out var choices) && choices.ValueKind == JsonValueKind.Array) return string.Join(" or ", choices.EnumerateArray().Select(Describe));
        return string.Join(' ', new[] { Text(demand, "type") ?? "something without a type", Text(demand, "slug"), Text(demand, "version") }.OfType<string>());
    }

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

internal sealed record ContractFact(string? Slug, string? Version);
