using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>
/// PID 1's part of the host's update: it finds out at the boot what became of a trial, watches one that is under way, and gives the verdict. Nothing in
/// it may stop the boot.
/// </summary>
/// <param name="paths">Where the host is.</param>
/// <param name="slot">The slot that runs.</param>
/// <param name="bounds">What a host on trial may take.</param>
/// <param name="tell">An event for the console and the time line: name and detail.</param>
internal sealed class TrialWatch(HostPaths paths, string slot, HostBounds bounds, Action<string, string> tell)
{
    /// <summary>What the worker says (as a <see cref="HostEvent"/>) of what it looked at.</summary>
    public const string Fit = "host fit", Unfit = "host unfit";

    private readonly HostStore store = new(paths);
    private DeviceBoot? device;
    private volatile string? unfit;
    private volatile bool onTrial;

    private BootStore Loader => new(paths.Boot, device!);

    /// <summary>True while this host is to prove itself.</summary>
    public bool OnTrial => onTrial;

    /// <summary>At the boot, as soon as boot and state partition are there.</summary>
    public void Begin()
    {
        device = store.Device is { Obstacle: null } updatable ? updatable : null;
        if (device is null) return;
        var record = store.Load();
        if (record.Trial is { } trial && trial.Slot == slot)
        {
            onTrial = true;
            store.Log.Begin(trial);
            tell("host on trial", $"{trial} in slot {slot}");
        }
        else if (record is { Armed: true, Trial: { } lost })
        {
            Reject(record, lost, store.Log.Reason());
        }
        else if (device.Scheme is DeviceBoot.Grub or DeviceBoot.UBoot && Loader.Choice is null)
        {
            var good = record.Good?.Slot ?? "a";
            tell("host", $"the loader's choice in {device.Store} was damaged; it is slot {good} again{(good == slot ? "" : ", from the next boot on")}");
            Loader.MarkGood(good);
        }
    }

    /// <summary>An event of the time line: the last words of a host on trial are what its reason is made of.</summary>
    public void Note(string name, string detail)
    {
        if (name is Fit or Unfit) unfit = detail;
        if (onTrial) store.Log.Line(detail.Length == 0 ? name : $"{name}: {detail}");
    }

    /// <summary>Watches until there is a verdict.</summary>
    /// <param name="see">What PID 1 sees now, but for what the worker says.</param>
    /// <returns>True when the host is bad and the device must boot the other one.</returns>
    public async Task<bool> RunAsync(Func<HostSight> see)
    {
        if (device is null) return false;
        // A slot that somebody else put on trial has nobody to ask for services.
        var known = onTrial;
        if (!known && !Loader.IsOnTrial(slot)) return false;
        var state = HostTrial.Begin(BootLog.Now);
        while (true)
        {
            await Task.Delay(bounds.Look);
            var sight = see();
            (state, var act, var reason) = state.On(sight with { Unfit = known ? unfit : "" }, bounds);
            if (act == HostAct.Wait) continue;
            if (act == HostAct.Prove)
            {
                Prove();
                return false;
            }

            if (!known) return false; // the loader's count decides
            Reject(store.Load(), store.Load().Trial!, reason);
            return true;
        }
    }

    /// <summary>What the firmware is told at a restart, or null: the Raspberry Pi's boots by tryboot.txt once when it is told so, and by config.txt otherwise
    /// (raspberrypi.com documentation, "tryboot"). The other slot's first try, and a restart in order in the middle of a trial.</summary>
    public string? WordForFirmware => device is { Scheme: DeviceBoot.RaspberryPi } && store.Load() is { Armed: true, Trial: { } trial } && Loader.IsOnTrial(trial.Slot) ? "0 tryboot" : null;

    /// <summary>An orderly end in the middle of a trial says nothing about the host.</summary>
    public void Leave()
    {
        if (onTrial) Loader.Uncount(slot);
    }

    private void Prove()
    {
        // The loader first: if the power goes in between, this slot boots again and proves itself once more.
        Loader.MarkGood(slot);
        if (!onTrial)
        {
            tell("slot good", slot);
            return;
        }

        var record = store.Load().Prove();
        store.Save(record);
        onTrial = false;
        tell("host good", $"{record.Good} in slot {slot}");
        store.Log.Clear();
    }

    private void Reject(HostRecord record, HostBuild build, string reason)
    {
        onTrial = false;
        store.Save(record.Reject(reason));
        Loader.GoBack(build.Slot);
        tell("host bad", $"{build}: {reason}");
        store.Log.Clear();
    }
}
