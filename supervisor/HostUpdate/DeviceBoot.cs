using System.Text.Json;
using System.Text.Json.Nodes;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>A slot as image.json names it.</summary>
/// <param name="Partition">Name of its root partition.</param>
/// <param name="PartUuid">Id of its root partition.</param>
internal sealed record SlotPlace(string Partition, string PartUuid);

/// <summary>How this device boots, as image.json on the boot partition says.</summary>
/// <param name="Board">The board it was built for.</param>
/// <param name="Scheme">How its loader takes turns between the slots: a word of the board file's <c>slots.scheme</c>.</param>
/// <param name="Store">The loader's own file with the choice, from the top of the boot partition; null when it keeps none.</param>
/// <param name="Tries">Boots of a new slot before the old one comes back.</param>
/// <param name="Slots">By letter.</param>
internal sealed record DeviceBoot(string Board, string Scheme, string? Store, int Tries, IReadOnlyDictionary<string, SlotPlace> Slots)
{
    public const string SystemdBoot = "systemd-boot-counter", Grub = "grub-grubenv", UBoot = "u-boot-bootcount", RaspberryPi = "rpi-tryboot";

    /// <summary>The file of a slot without which its loader does not start it.</summary>
    public string? Key => Scheme switch
    {
        SystemdBoot => "loader/entry.conf",
        Grub => "slot/grub.cfg",
        UBoot => "slot/boot.env",
        RaspberryPi => "loader/config.txt",
        _ => null,
    };

    /// <summary>Why this device cannot be updated at all, or null.</summary>
    public string? Obstacle =>
        Key is null ? $"this board has no way back from a host that fails ({Scheme}), so none is tried; write a new image with the flasher"
        : Slots.Count < 2 ? "this device has one slot only; write a new image with the flasher"
        : Scheme is Grub or UBoot && Store is null ? "image.json does not say where the loader keeps its choice; write a new image with the flasher"
        : null;

    public static string Other(string slot) => slot == "a" ? "b" : "a";

    /// <summary>The file that a release needs for this device's loader and has not.</summary>
    public string? MissingOf(HostRelease release) => release.Files.Exists(f => f.Path == Key) ? null : Key;

    /// <summary>Null when the file is not there or says too little: such an image cannot be updated.</summary>
    public static DeviceBoot? Read(string imageJson)
    {
        try
        {
            return Parse(File.ReadAllText(imageJson));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Pure.</summary>
    public static DeviceBoot? Parse(string json)
    {
        try
        {
            if (JsonNode.Parse(json) is not JsonObject root || root["boot"] is not JsonObject boot || root["slots"] is not JsonObject slots) return null;
            var places = new SortedDictionary<string, SlotPlace>(StringComparer.Ordinal);
            foreach (var letter in new[] { "a", "b" })
                if (slots[letter] is JsonObject slot && slot["partition"]?.GetValue<string>() is { } name && slot["partuuid"]?.GetValue<string>() is { } id) places[letter] = new(name, id);
            return new(root["board"]?.GetValue<string>() ?? "unknown", boot["scheme"]?.GetValue<string>() ?? "none", boot["store"]?.GetValue<string>(), boot["tries"]?.GetValue<int>() ?? 3, places);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
