using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>A file of a slot.</summary>
/// <param name="Path">In the image: below <c>slot/</c> or <c>loader/</c>.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Sha256">64 hexadecimal digits.</param>
/// <param name="Text">It has places that the device fills in; see <see cref="SlotText"/>. Size and digest are those before.</param>
internal sealed record SlotFile(string Path, long Size, string Sha256, bool Text);

/// <summary>The root file system of a slot.</summary>
/// <param name="FileSystem">squashfs or ext4.</param>
/// <param name="Size">Bytes; a multiple of 4096.</param>
/// <param name="Sha256">64 hexadecimal digits.</param>
internal sealed record SlotRoot(string FileSystem, long Size, string Sha256);

/// <summary>
/// What a host image holds: one slot, as <c>image-builder host-image</c> describes it in the image's <c>/host.json</c>.
/// </summary>
/// <param name="Board">The board it was built for.</param>
/// <param name="Version">For people; nothing is decided by it.</param>
/// <param name="Time">When it was built, in seconds since 1970.</param>
/// <param name="Scheme">How its loader takes turns between the slots.</param>
internal sealed record HostRelease(string Board, string Version, long Time, string Scheme, SlotRoot Root, List<SlotFile> Files)
{
    /// <summary>Most files of a slot, and most bytes of one: more is not believed.</summary>
    private const int MostFiles = 2000;
    private const long LargestFile = 1L << 30;

    /// <summary>A longer description than this, in bytes, is not read.</summary>
    public const int Longest = 1 << 20;

    private static readonly Regex SafePath = new(@"^(slot|loader)(/[A-Za-z0-9_+,@=-][A-Za-z0-9._+,@=-]*)+$");
    private static readonly Regex Digest = new("^[0-9a-f]{64}$");

    /// <exception cref="NoHostException">It is no description of a slot.</exception>
    public static HostRelease Parse(byte[] json)
    {
        HostRelease? release;
        try
        {
            release = JsonSerializer.Deserialize(json, StateJson.Default.HostRelease);
        }
        catch (JsonException e)
        {
            throw new NoHostException(Sha256Of(json), $"its host.json cannot be read: {e.Message}");
        }

        if (release?.Malformed() is not { } what) return release ?? throw new NoHostException(Sha256Of(json), "its host.json is empty");
        throw new NoHostException(Sha256Of(json), $"its host.json has {what}; make the image with 'image-builder host-image'");
    }

    public static string Sha256Of(byte[] json) => Convert.ToHexStringLower(SHA256.HashData(json));

    private string? Malformed() =>
        Board is null or "" ? "no board"
        : Version is null ? "no version"
        : Scheme is null ? "no scheme"
        : Root is not { FileSystem: not null, Sha256: not null } || !Digest.IsMatch(Root.Sha256) ? "no root with a digest"
        : Root.Size <= 0 || Root.Size % 4096 != 0 ? $"a root of {Root.Size} bytes"
        : Files is null or { Count: 0 or > MostFiles } ? "no list of files"
        : Files.FindIndex(f => f is not { Path: not null, Sha256: not null } || !SafePath.IsMatch(f.Path) || f.Size is < 0 or > LargestFile || !Digest.IsMatch(f.Sha256)) is >= 0 and var wrong ? $"a file that cannot be taken: '{Files[wrong]?.Path}'"
        : Files.Select(f => f.Path).Distinct(StringComparer.OrdinalIgnoreCase).Count() != Files.Count ? "a file twice"
        : null;

    /// <summary>Why it is not for this device, or null. Pure.</summary>
    /// <param name="device">What this device is.</param>
    /// <param name="slotSize">Bytes of the other slot's partition.</param>
    /// <param name="boot">Bytes that are free on the boot partition once the other slot's files are gone.</param>
    /// <param name="notBefore">The device takes nothing built before this, in seconds since 1970.</param>
    public string? Fault(DeviceBoot device, long slotSize, long boot, long notBefore) =>
        Board != device.Board ? $"it was built for board {Board}, and this is {device.Board}"
        : Scheme != device.Scheme ? $"its loader keeps the slots by {Scheme}, and this device's by {device.Scheme}: such a change needs a new image on the disk"
        : Root.Size > slotSize ? $"its root has {Root.Size >> 20} MiB, and the slot {slotSize >> 20}"
        : Files.Sum(f => f.Size) > boot ? $"its files for the boot partition have {Files.Sum(f => f.Size) >> 10} KiB, and {boot >> 10} are free there"
        : device.MissingOf(this) is { } missing ? $"it has no {missing}, which this device's loader needs"
        : Time < notBefore ? $"it was built on {DateTimeOffset.FromUnixTimeSeconds(Math.Clamp(Time, 0, 253402300799)):yyyy-MM-dd}, and this device takes nothing from before {DateTimeOffset.FromUnixTimeSeconds(notBefore):yyyy-MM-dd} (host-not-before in config.yaml)"
        : null;
}

/// <summary>What an image holds is no host for this device: nothing to try again.</summary>
internal sealed class NoHostException(string sha256, string message) : Exception(message)
{
    public string Sha256 { get; } = sha256;
}

/// <summary>The places in a slot's texts that only the device can fill in.</summary>
internal static class SlotText
{
    public const string Slot = "@SLOT@", Root = "@ROOT@", Sort = "@SORT@";

    /// <summary>Pure. <paramref name="sort"/> orders systemd-boot's entries.</summary>
    public static string Fill(string text, string slot, string partUuid, int sort) =>
        text.Replace(Slot, slot, StringComparison.Ordinal).Replace(Root, partUuid, StringComparison.Ordinal).Replace(Sort, $"{sort:0000}", StringComparison.Ordinal);
}
