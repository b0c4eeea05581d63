using System.Text.Json;

namespace OsBuild.Supervisor.State;

/// <summary>A compose file with everything it needs, as it is handed over and kept.</summary>
/// <param name="Compose">Its text.</param>
/// <param name="Environment">The text of its <c>.env</c>, or null.</param>
/// <param name="Files">Files beside it that it reads, by relative path.</param>
/// <param name="Built">The image that was built for each service with <c>build:</c>.</param>
internal sealed record Handover(string Compose, string? Environment, Dictionary<string, byte[]> Files, Dictionary<string, string> Built)
{
    /// <exception cref="JsonException">The bytes are not what <see cref="ToJson"/> made.</exception>
    public static Handover Parse(ReadOnlySpan<byte> json)
    {
        var handover = JsonSerializer.Deserialize(json, StateJson.Default.Handover);
        return handover is { Compose: not null } ? handover with { Files = handover.Files ?? [], Built = handover.Built ?? [] } : throw new JsonException("there is no compose file in it");
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, StateJson.Default.Handover);
}
