using System.Xml;
using System.Xml.Linq;

namespace OsBuild.Flasher.Drives;

/// <summary>A property list of macOS as plain values: dictionaries, lists, strings, numbers, booleans.</summary>
internal static class PropertyList
{
    /// <exception cref="FormatException">It is no property list.</exception>
    public static object Parse(string xml)
    {
        try
        {
            using var reader = XmlReader.Create(new StringReader(xml), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore, XmlResolver = null, MaxCharactersInDocument = 16 << 20 });
            return Value(XDocument.Load(reader).Root?.Elements().FirstOrDefault() ?? throw new FormatException("an empty property list"));
        }
        catch (XmlException e)
        {
            throw new FormatException("no property list: " + e.Message, e);
        }
    }

    private static object Value(XElement element) => element.Name.LocalName switch
    {
        "dict" => Dictionary(element),
        "array" => element.Elements().Select(Value).ToList(),
        "true" => true,
        "false" => false,
        "integer" => long.Parse(element.Value),
        _ => element.Value,
    };

    private static Dictionary<string, object> Dictionary(XElement element)
    {
        Dictionary<string, object> values = [];
        string? key = null;
        foreach (var child in element.Elements())
        {
            if (child.Name.LocalName == "key") key = child.Value;
            else if (key is not null) values[key] = Value(child);
        }

        return values;
    }
}

/// <summary>Turns what <c>diskutil info -plist</c> tells of every disk and volume into the facts that <see cref="Judge"/> knows. Pure.</summary>
internal static class MacFacts
{
    /// <param name="infos">The property list of each disk, slice and volume (<c>diskutil info -plist diskN</c>).</param>
    /// <param name="image">Full path of the image, or null.</param>
    /// <param name="program">Full path of this program, or null.</param>
    /// <param name="complete">False when a call failed: then nothing is certain.</param>
    public static SystemFacts From(IReadOnlyList<string> infos, string? image, string? program, bool complete)
    {
        var all = infos.Select(i => PropertyList.Parse(i) as Dictionary<string, object> ?? throw new FormatException("diskutil tells no dictionary")).ToList();
        List<Use> uses = [];
        foreach (var info in all) uses.AddRange(UsesOf(info));
        AddFile(uses, all, image, UseKind.Image);
        AddFile(uses, all, program, UseKind.Program);
        var nodes = all.Select(i => NodeOf(i, all)).ToList();
        var root = uses.Any(u => u.Kind == UseKind.System);
        return new SystemFacts
        {
            System = SystemKind.MacOs,
            Nodes = nodes,
            Uses = uses,
            Disks = [.. all.Where(IsShown).Select(Describe)],
            Unseen = complete && root ? [] : [root ? "diskutil does not tell everything about this Mac" : "it cannot be told on which disk the running system lies"],
        };
    }

    private static string Text(Dictionary<string, object> info, string key) => info.GetValueOrDefault(key) as string ?? "";

    private static bool Flag(Dictionary<string, object> info, string key) => info.GetValueOrDefault(key) is true;

    private static string Id(Dictionary<string, object> info) => Text(info, "DeviceIdentifier");

    private static bool IsShown(Dictionary<string, object> info) => Flag(info, "WholeDisk");

    private static bool IsSynthesized(Dictionary<string, object> info) => Text(info, "APFSContainerReference") == Id(info) || PhysicalStores(info).Count > 0;

    private static List<string> PhysicalStores(Dictionary<string, object> info) =>
        [.. (info.GetValueOrDefault("APFSPhysicalStores") as List<object> ?? []).OfType<Dictionary<string, object>>().Select(s => Text(s, "APFSPhysicalStore")).Where(s => s.Length > 0)];

    private static Node NodeOf(Dictionary<string, object> info, List<Dictionary<string, object>> all)
    {
        var id = Id(info);
        if (!Flag(info, "WholeDisk"))
        {
            // The slice of a disk, or a volume of a container: ParentWholeDisk names either.
            var members = (info.GetValueOrDefault("AppleRAIDSetMembers") as List<object> ?? []).OfType<string>();
            return new Node(id, NodeKind.Partition, [Text(info, "ParentWholeDisk"), .. members]);
        }

        // Every volume of a container repeats its stores; the container's own record may not.
        var stores = PhysicalStores(info);
        if (stores.Count == 0) stores = [.. all.Where(v => Text(v, "APFSContainerReference") == id).SelectMany(PhysicalStores).Distinct()];
        if (stores.Count > 0) return new Node(id, NodeKind.Pool, stores) { Title = "APFS container" };
        if (Text(info, "BusProtocol") == "Disk Image") return new Node(id, NodeKind.Pool, []) { Title = "disk image" };
        return new Node(id, Flag(info, "OpticalMedia") || Text(info, "OpticalDeviceType").Length > 0 ? NodeKind.Optical : Text(info, "VirtualOrPhysical") == "Virtual" ? NodeKind.Pool : NodeKind.Disk, []);
    }

    private static IEnumerable<Use> UsesOf(Dictionary<string, object> info)
    {
        var at = Text(info, "MountPoint");
        if (at == "/" || at.StartsWith("/System/", StringComparison.Ordinal) || at.StartsWith("/private/", StringComparison.Ordinal)) yield return new Use(Id(info), UseKind.System, at);
        else if (at.Length > 0) yield return new Use(Id(info), UseKind.Mount, at);
        if (Flag(info, "SystemImage") || Text(info, "APFSSnapshot") == "true") yield return new Use(Id(info), UseKind.System, "a system image");
        if (Text(info, "Content") is "Apple_APFS_ISC" or "Apple_APFS_Recovery") yield return new Use(Id(info), UseKind.Boot, "what starts this Mac");
        if (Text(info, "Content") is "Apple_CoreStorage" or "Apple_RAID" or "Apple_Corestorage") yield return new Use(Id(info), UseKind.Member, Text(info, "Content"));
    }

    private static void AddFile(List<Use> uses, List<Dictionary<string, object>> all, string? path, UseKind kind)
    {
        if (path is null) return;
        var holder = all.Where(i => Text(i, "MountPoint") is { Length: > 0 } at && (at == "/" || path.StartsWith(at + "/", StringComparison.Ordinal))).MaxBy(i => Text(i, "MountPoint").Length);
        if (holder is not null) uses.Add(new Use(Id(holder), kind, path));
    }

    private static Disk Describe(Dictionary<string, object> info) => new()
    {
        Device = "/dev/" + Id(info),
        Node = Id(info),
        Number = Text(info, "IORegistryEntryName"),
        Size = info.GetValueOrDefault("Size") is long size ? size : info.GetValueOrDefault("TotalSize") is long total ? total : 0,
        SectorSize = info.GetValueOrDefault("DeviceBlockSize") is long block ? (int)block : 512,
        Model = Shown.Clean(Text(info, "MediaName")),
        Wwid = Text(info, "DiskUUID"),
        Serial = "",
        Transport = Text(info, "BusProtocol") switch { "USB" => "usb", "Secure Digital" => "sd", "PCI-Express" or "NVMe" or "Apple Fabric" => "nvme", "SATA" => "sata", "Thunderbolt" => "thunderbolt", _ => "" },
        Removable = Flag(info, "RemovableMedia") || Flag(info, "Ejectable") || (info.ContainsKey("Internal") && !Flag(info, "Internal")),
        ReadOnly = info.ContainsKey("WritableMedia") && !Flag(info, "WritableMedia"),
        Unseen = info.ContainsKey("Internal") && info.ContainsKey("WholeDisk") ? [] : ["macOS does not tell everything about it"],
    };
}
