using System.Globalization;
using System.Text;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>What GRUB and U-Boot are told: three variables that their scripts read and count with.</summary>
/// <param name="Slot">The slot that is booted next.</param>
/// <param name="OnTrial">upgrade_available: boots are counted, and past the limit the other slot comes back.</param>
/// <param name="Count">bootcount: boots of the trial so far.</param>
internal sealed record BootChoice(string Slot, bool OnTrial, int Count)
{
    /// <summary>GRUB's block never changes its size (grub-core/lib/envblk.c).</summary>
    private const int GrubSize = 1024;
    private const string GrubHeader = "# GRUB Environment Block\n";

    /// <summary>What a store says; null when it is damaged or says something that no script of ours wrote. Pure.</summary>
    public static BootChoice? Read(ReadOnlySpan<byte> store)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in Encoding.ASCII.GetString(store).Split('\n'))
            if (line.TrimEnd('\0', '\r') is var text && text.IndexOf('=') is > 0 and var equals && text[0] != '#') values[text[..equals]] = text[(equals + 1)..];
        return values.GetValueOrDefault("slot") is "a" or "b"
            && values.GetValueOrDefault("upgrade_available") is "0" or "1"
            // U-Boot's setexpr counts in hexadecimal.
            && int.TryParse(values.GetValueOrDefault("bootcount"), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var count) && count is >= 0 and < 1000
            ? new(values["slot"], values["upgrade_available"] == "1", count)
            : null;
    }

    /// <summary>The choice as the store's bytes: never another length than it has, and all that counts in its first 512 bytes, so that it is written in
    /// place and a power cut leaves the old or the new. Pure.</summary>
    /// <param name="grub">GRUB's block; otherwise text for U-Boot.</param>
    /// <param name="length">Bytes that the store has now.</param>
    public byte[] Write(bool grub, int length)
    {
        var text = $"slot={Slot}\nupgrade_available={(OnTrial ? 1 : 0)}\nbootcount={Count:x}\n";
        if (grub) return Encoding.ASCII.GetBytes((GrubHeader + text).PadRight(GrubSize, '#'));
        return Encoding.ASCII.GetBytes(text.PadRight(Math.Min(length, 512), '\n'));
    }
}
