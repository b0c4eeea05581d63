using System.Globalization;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>Partition types by name: GPT type GUID (UEFI 2.10 §5.3.3, Discoverable Partitions Specification) and MBR byte.</summary>
internal static class PartitionTypes
{
    /// <summary>A type for both tables; an empty GUID or a zero byte where the file gave only the other.</summary>
    internal readonly record struct Pair(Guid Gpt, byte Mbr);

    public const string Esp = "esp", Fat32 = "fat32", Linux = "linux", LinuxReserved = "linux-reserved";

    private static readonly (string Name, Pair Type)[] Known =
    [
        (Esp, new(new("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), 0xef)),
        (Fat32, new(new("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"), 0x0c)),
        (Linux, new(new("0FC63DAF-8483-4772-8E79-3D69D8477DE4"), 0x83)),
        ("linux-root-x86-64", new(new("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"), 0x83)),
        ("linux-root-arm64", new(new("B921B045-1DF0-41C3-AF44-4C6F280D3FAE"), 0x83)),
        (LinuxReserved, new(new("8DA63339-0007-60C0-C436-083AC8230908"), 0xda)),
    ];

    public static IEnumerable<string> Names => Known.Select(k => k.Name);

    public static Pair? Parse(string text)
    {
        foreach (var (name, type) in Known)
            if (name == text) return type;
        if (text.StartsWith("0x", StringComparison.Ordinal) && text.Length <= 4
            && byte.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, null, out var mbr) && mbr != 0) return new(Guid.Empty, mbr);
        return Guid.TryParseExact(text, "D", out var gpt) && gpt != Guid.Empty ? new(gpt, 0) : null;
    }

    /// <summary>The type a partition has when its file gives none.</summary>
    public static Pair Default(PartitionRole role, BoardArch arch, BootFlow flow) => Parse(role switch
    {
        PartitionRole.Boot => flow == BootFlow.Uefi ? Esp : Fat32,
        PartitionRole.RootA or PartitionRole.RootB => arch == BoardArch.X8664 ? "linux-root-x86-64" : "linux-root-arm64",
        PartitionRole.Reserved => LinuxReserved,
        _ => Linux,
    })!.Value;
}
