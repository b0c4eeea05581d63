using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>
/// What the loader is told on the boot partition: which slot, and whether its boots are counted. Each change is one write of one sector or one rename,
/// so that a power cut leaves the choice before or after it.
/// </summary>
internal sealed class BootStore(string boot, DeviceBoot device)
{
    private string Store => Path.Combine(boot, device.Store ?? "");
    private string Entries => Path.Combine(boot, "loader", "entries");
    private string TryBoot => Path.Combine(boot, "tryboot.txt");

    /// <summary>The choice of GRUB's or U-Boot's store; null when it is damaged, or the loader keeps none.</summary>
    public BootChoice? Choice => device.Scheme is DeviceBoot.Grub or DeviceBoot.UBoot && File.Exists(Store) && new FileInfo(Store).Length <= 64 << 10 ? BootChoice.Read(File.ReadAllBytes(Store)) : null;

    /// <summary>True when the loader counts the boots of this slot.</summary>
    public bool IsOnTrial(string slot) => device.Scheme switch
    {
        DeviceBoot.SystemdBoot => EntriesOf(slot).Any(e => e.Entry.IsOnTrial),
        DeviceBoot.Grub or DeviceBoot.UBoot => Choice is { OnTrial: true } choice && choice.Slot == slot,
        DeviceBoot.RaspberryPi => File.Exists(TryBoot) && File.ReadAllText(TryBoot).Contains($"os_prefix=slot-{slot}/", StringComparison.Ordinal),
        _ => false,
    };

    /// <summary>Before a slot is written over: no loader can start it any more, whatever its store says.</summary>
    /// <param name="slot">The slot that does not run.</param>
    public void Close(string slot)
    {
        using var writable = BootPartition.Open(boot);
        if (device.Scheme == DeviceBoot.SystemdBoot) DeleteEntries(slot);
        if (device.Scheme == DeviceBoot.RaspberryPi) File.Delete(TryBoot);
        if (device.Key is { } key && File.Exists(PathOf(slot, key))) File.Delete(PathOf(slot, key));
        Libc.Sync();
    }

    /// <summary>The next boot is of this slot, which is written whole, and counts.</summary>
    public void Arm(string slot)
    {
        using var writable = BootPartition.Open(boot);
        switch (device.Scheme)
        {
            case DeviceBoot.SystemdBoot:
                BootPartition.Put(Path.Combine(Entries, new LoaderEntry($"slot-{slot}", device.Tries, null).ToString()), File.ReadAllBytes(PathOf(slot, device.Key!)));
                break;
            case DeviceBoot.RaspberryPi:
                BootPartition.Put(TryBoot, File.ReadAllBytes(PathOf(slot, device.Key!)));
                break;
            default:
                Write(new(slot, true, 0));
                break;
        }
    }

    /// <summary>The slot that runs stays.</summary>
    public void MarkGood(string slot)
    {
        using var writable = BootPartition.Open(boot);
        switch (device.Scheme)
        {
            case DeviceBoot.SystemdBoot:
                foreach (var (path, entry) in EntriesOf(slot).Where(e => e.Entry.IsOnTrial)) File.Move(path, Path.Combine(Entries, entry.GoodName), overwrite: true);
                break;
            case DeviceBoot.RaspberryPi:
                if (IsOnTrial(slot)) File.Move(TryBoot, Path.Combine(boot, "config.txt"), overwrite: true);
                break;
            default:
                Write(new(slot, false, 0));
                break;
        }
    }

    /// <summary>Ends the trial of a slot: from the next boot on the other one runs again.</summary>
    public void GoBack(string from)
    {
        using var writable = BootPartition.Open(boot);
        switch (device.Scheme)
        {
            case DeviceBoot.SystemdBoot:
                DeleteEntries(from);
                break;
            case DeviceBoot.RaspberryPi:
                File.Delete(TryBoot);
                break;
            default:
                Write(new(DeviceBoot.Other(from), false, 0));
                break;
        }
    }

    /// <summary>An orderly end says nothing about a slot on trial: its boot is not counted.</summary>
    public void Uncount(string slot)
    {
        using var writable = BootPartition.Open(boot);
        if (device.Scheme == DeviceBoot.SystemdBoot)
        {
            foreach (var (path, entry) in EntriesOf(slot).Where(e => e.Entry.UncountedName != Path.GetFileName(e.Path))) File.Move(path, Path.Combine(Entries, entry.UncountedName), overwrite: true);
        }
        else if (Choice is { OnTrial: true, Count: > 0 } choice && choice.Slot == slot)
        {
            Write(choice with { Count = choice.Count - 1 });
        }
    }

    /// <summary>Where a file of a host image lies on the boot partition.</summary>
    /// <param name="slot">a or b.</param>
    /// <param name="path">As in <see cref="SlotFile.Path"/>: what the loader has elsewhere waits in the slot's folder until the slot is armed.</param>
    public string PathOf(string slot, string path) => Path.Combine(boot, $"slot-{slot}", path[(path.IndexOf('/') + 1)..]);

    /// <summary>The number for the entry of the next slot: before that of the slot that runs.</summary>
    public int NextSort(string running) =>
        device.Scheme != DeviceBoot.SystemdBoot ? 0 : Math.Max(0, EntriesOf(running).Select(e => LoaderEntry.SortOf(File.ReadAllText(e.Path))).DefaultIfEmpty(LoaderEntry.FirstSort).Min() - 1);

    private void DeleteEntries(string slot)
    {
        foreach (var (path, _) in EntriesOf(slot)) File.Delete(path);
    }

    private List<(string Path, LoaderEntry Entry)> EntriesOf(string slot) => !Directory.Exists(Entries) ? [] :
        [.. Directory.EnumerateFiles(Entries).Select(f => (Path: f, Entry: LoaderEntry.Parse(Path.GetFileName(f)))).Where(e => e.Entry?.Id == $"slot-{slot}").Select(e => (e.Path, e.Entry!))];

    private void Write(BootChoice choice)
    {
        var length = File.Exists(Store) ? new FileInfo(Store).Length : 0;
        var bytes = choice.Write(device.Scheme == DeviceBoot.Grub, (int)Math.Min(length, 1024));
        if (bytes.Length == length) BootPartition.Overwrite(Store, bytes);
        else BootPartition.Put(Store, bytes);
    }
}
