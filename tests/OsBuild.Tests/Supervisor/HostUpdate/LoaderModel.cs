using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

/// <summary>A device on disk, and what its firmware and loader do at power-on: systemd-boot as its manual says, GRUB and U-Boot as the scripts of
/// image-builder do, which are run by the real ones in the oracle tests.</summary>
internal sealed class LoaderModel : IDisposable
{
    public static readonly string[] Schemes = [DeviceBoot.SystemdBoot, DeviceBoot.Grub, DeviceBoot.UBoot, DeviceBoot.RaspberryPi];

    public LoaderModel(string scheme)
    {
        Device = new("board", scheme, scheme switch { DeviceBoot.Grub => "grub/grubenv", DeviceBoot.UBoot => "bootcount.env", _ => null }, 3,
            new SortedDictionary<string, SlotPlace> { ["a"] = new("root-a", "1111-02"), ["b"] = new("root-b", "1111-03") });
        Put("slot-a/kernel", "a");
        switch (scheme)
        {
            case DeviceBoot.SystemdBoot: Put("loader/entries/slot-a.conf", Entry("a", LoaderEntry.FirstSort)); break;
            case DeviceBoot.RaspberryPi: Put("config.txt", "os_prefix=slot-a/\n"); break;
            case DeviceBoot.Grub:
                Put("slot-a/grub.cfg", "linux /slot-a/kernel");
                Put("grub/grubenv", "# GRUB Environment Block\nslot=a\nupgrade_available=0\nbootcount=0\n".PadRight(1024, '#'));
                break;
            default:
                Put("slot-a/boot.env", "kernel=slot-a/kernel");
                Put("bootcount.env", "slot=a\nupgrade_available=0\nbootcount=0\n");
                break;
        }
    }

    public string Boot { get; } = Directory.CreateTempSubdirectory("osbuild-loader-").FullName;
    public DeviceBoot Device { get; }
    public BootStore Store => new(Boot, Device);

    /// <summary>Raspberry Pi: the firmware's flag for one boot by tryboot.txt.</summary>
    public bool TryBootFlag { get; set; }

    public void Dispose() => Directory.Delete(Boot, recursive: true);

    public void Put(string path, string text)
    {
        var file = Path.Combine(Boot, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    public static string Entry(string slot, int sort) => $"title t\nversion 1\nsort-key osbuild-{sort:0000}\nlinux /slot-{slot}/kernel\n";

    /// <summary>What the updater leaves in the other slot.</summary>
    public void WriteSlot(string slot, string running)
    {
        Put($"slot-{slot}/kernel", slot);
        var key = Device.Scheme switch
        {
            DeviceBoot.SystemdBoot => Entry(slot, Store.NextSort(running)),
            DeviceBoot.RaspberryPi => $"os_prefix=slot-{slot}/\n",
            _ => $"linux /slot-{slot}/kernel",
        };
        Put(Path.GetRelativePath(Boot, Store.PathOf(slot, Device.Key!)), key);
    }

    /// <summary>Power-on: the slot whose kernel is started; null when none is, which is a brick.</summary>
    public string? PowerOn()
    {
        var slot = Device.Scheme switch
        {
            DeviceBoot.SystemdBoot => SystemdBoot(),
            DeviceBoot.RaspberryPi => RaspberryPi(),
            _ => Script(Device.Store!, Path.GetFileName(Device.Key!)),
        };
        return slot is not null && File.Exists(Path.Combine(Boot, $"slot-{slot}", "kernel")) ? slot : null;
    }

    private string? SystemdBoot()
    {
        var entries = Directory.EnumerateFiles(Path.Combine(Boot, "loader", "entries")).Select(f => (Path: f, Entry: LoaderEntry.Parse(Path.GetFileName(f))!, Sort: LoaderEntry.SortOf(File.ReadAllText(f)))).Where(e => e.Entry is not null).ToList();
        if (entries.Count == 0) return null;
        var first = entries.OrderBy(e => e.Entry.Left == 0).ThenBy(e => e.Sort).First();
        if (first.Entry is { Left: > 0 } counted) File.Move(first.Path, Path.Combine(Boot, "loader", "entries", new LoaderEntry(counted.Id, counted.Left - 1, (counted.Done ?? 0) + 1).ToString()));
        return first.Entry.Id[^1..];
    }

    private string? RaspberryPi()
    {
        var file = TryBootFlag && File.Exists(Path.Combine(Boot, "tryboot.txt")) ? "tryboot.txt" : "config.txt";
        TryBootFlag = false;
        return File.Exists(Path.Combine(Boot, file)) ? File.ReadAllText(Path.Combine(Boot, file)).Split("slot-")[1][..1] : null;
    }

    private string Script(string store, string own)
    {
        var path = Path.Combine(Boot, store);
        var choice = (File.Exists(path) ? BootChoice.Read(File.ReadAllBytes(path)) : null) ?? new("a", false, 0);
        var slot = choice.Slot;
        var other = slot == "a" ? "b" : "a";
        if (choice.OnTrial)
        {
            choice = choice.Count < Device.Tries ? choice with { Count = choice.Count + 1 } : new(other, false, choice.Count);
            slot = choice.Slot;
            File.WriteAllBytes(path, choice.Write(Device.Scheme == DeviceBoot.Grub, 1024));
        }

        bool Has(string s) => File.Exists(Path.Combine(Boot, $"slot-{s}", own));
        return !Has(slot) && Has(slot == "a" ? "b" : "a") ? slot == "a" ? "b" : "a" : slot;
    }
}
