using System.Collections.Concurrent;
using System.Text;
using OsBuild.Images.BootEnv;

namespace OsBuild.SystemTests.Nightly;

/// <summary>GRUB and U-Boot themselves choose between two slots by the builder's scripts. No kernel is started: what would start one says which slot it is
/// of, and the machine ends with the loader's reset.</summary>
[Collection("machines")]
public sealed class BoardLoaderTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);
    private static readonly ConcurrentDictionary<string, string> Images = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-loader-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Slots that have their own file, what is in the store (slot, upgrade_available, bootcount; a text of its own when garbled, none when missing),
    /// the slot that must be chosen, and what the store says afterwards.</summary>
    public static TheoryData<string, string?, string, string?> Boots => new()
    {
        { "ab", "a 0 0", "a", "a 0 0" },
        { "ab", "b 0 0", "b", "b 0 0" },
        { "ab", "b 1 0", "b", "b 1 1" },          // on trial: counted
        { "ab", "b 1 3", "a", "a 0" },            // used up
        { "a", "b 1 0", "a", null },              // half written: its own file is not there
        { "b", "a 0 0", "b", null },
        { "b", "b 1 3", "b", null },              // used up, but there is no other
        { "a", "garbage", "a", null },
        { "b", "garbage", "b", null },
        { "b", null, "b", null },
        { "ab", "c 1 0", "a", null },             // no slot of ours
    };

    [Theory]
    [MemberData(nameof(Boots))]
    public void GRUB_chooses(string slots, string? store, string chosen, string? stored)
    {
        const string Said = "chosen";
        var disk = Disk("genericx86-64-bios", "genericx86-64", "linux-x64");
        foreach (var slot in "ab") Put(disk, $"slot-{slot}/grub.cfg", slots.Contains(slot) ? Encoding.ASCII.GetBytes($"set slot={slot}\nsave_env --file=/{Said} slot\nreboot\n") : null);
        Put(disk, Said, GrubEnvironment.Write(new Dictionary<string, string> { ["slot"] = "none" }));
        Put(disk, "boot/grub/grubenv", store is null ? null : store.Split(' ') is [var s, var u, var c]
            ? GrubEnvironment.Write(new Dictionary<string, string> { ["slot"] = s, ["upgrade_available"] = u, ["bootcount"] = c }) : Encoding.ASCII.GetBytes(store.PadRight(1024, '.')));
        using (var machine = Machine.StartOwn("qemu-system-x86_64", "-machine", "q35", "-m", "256", "-serial", "file:{folder}/console.log", "-drive", $"file={disk},if=none,id=disk,format=raw", "-device", "ide-hd,drive=disk,bus=ide.0")) machine.WaitForEnd(Long);
        Assert.Equal(chosen, GrubEnvironment.Read(Get(disk, Said))["slot"]);
        if (stored is not null) Assert.StartsWith(stored, string.Join(' ', GrubEnvironment.Read(Get(disk, "boot/grub/grubenv")) is var values ? ((string[])["slot", "upgrade_available", "bootcount"]).Select(v => values[v]) : []), StringComparison.Ordinal);
    }

    /// <summary>U-Boot says which kernel it does not find; there is none.</summary>
    [Theory]
    [MemberData(nameof(Boots))]
    public void U_Boot_chooses(string slots, string? store, string chosen, string? stored)
    {
        var disk = Disk("qemuarm64-u-boot", "qemuarm64", "linux-arm64");
        foreach (var slot in "ab") Put(disk, $"slot-{slot}/boot.env", slots.Contains(slot) ? Encoding.ASCII.GetBytes($"bootargs=quiet\nkernel=slot-{slot}/none\n") : null);
        // As a device pads it.
        Put(disk, "bootcount.env", store is null ? null : Encoding.ASCII.GetBytes(store.Split(' ') is [var s, var u, var c] ? $"slot={s}\nupgrade_available={u}\nbootcount={c}\n\n\n\n" : store));
        using (var machine = Machine.StartOwn("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-m", "512", "-nic", "none", "-bios", Path.Combine(Checkout.Work, "firmware/qemu_arm64.bin"), "-serial", "file:{folder}/console.log",
            "-drive", $"file={disk},if=none,id=disk,format=raw", "-device", "virtio-blk-pci,drive=disk"))
        {
            var missing = machine.WaitFor(@"Failed to load '(slot-./none)'", Long).Groups[1].Value;
            Assert.Equal($"slot-{chosen}/none", missing);
            machine.WaitForEnd(Long);
            Assert.DoesNotContain("Unknown command", machine.Console, StringComparison.Ordinal);
        }

        if (stored is null) return;
        var values = Encoding.ASCII.GetString(Get(disk, "bootcount.env")).TrimEnd('\0', '\n').Split('\n').Select(l => l.Split('=')).ToDictionary(l => l[0], l => l[1]);
        Assert.StartsWith(stored, $"{values["slot"]} {values["upgrade_available"]} {values["bootcount"]}", StringComparison.Ordinal);
    }

    /// <summary>A copy of a board's image without containers.</summary>
    private string Disk(string board, string machine, string rid)
    {
        var disk = Path.Combine(_folder, "disk");
        Judge.Run("cp", "--sparse=always", Images.GetOrAdd(board, _ => Build(board, machine, rid)), disk).MustPass("cp");
        return disk;
    }

    private static string Build(string board, string machine, string rid)
    {
        var output = Path.Combine(Checkout.Work, "images", "loader-" + board);
        Checkout.Script(TimeSpan.FromMinutes(10), "firmware.sh");
        Checkout.Script(TimeSpan.FromMinutes(20), "publish.sh", "image-builder:linux-x64", "supervisor:" + rid);
        Checkout.Script(TimeSpan.FromMinutes(20), "deploy-dir.sh", machine);
        Judge.Run(TimeSpan.FromMinutes(5), Checkout.Program("image-builder"), "build", board, "--deploy", Path.Combine(Checkout.Work, "deploy", machine), "--output", output, "--supervisor", Checkout.Program("supervisor", rid)).MustPass("image-builder build");
        return Directory.EnumerateFiles(output, "*.img").Single();
    }

    /// <summary>Puts a file onto the boot partition, or takes it away.</summary>
    private void Put(string disk, string path, byte[]? content)
    {
        var partition = $"{disk}@@{4 << 20}";
        if (content is null)
        {
            Judge.Run("mdel", "-i", partition, "::" + path); // it may not be there
            return;
        }

        File.WriteAllBytes(Path.Combine(_folder, "file"), content);
        if (path.LastIndexOf('/') is > 0 and var slash) Judge.Run("mmd", "-D", "s", "-i", partition, "::" + path[..slash]); // it may be there
        Judge.Run("mcopy", "-n", "-o", "-i", partition, Path.Combine(_folder, "file"), "::" + path).MustPass("mcopy");
    }

    private byte[] Get(string disk, string path)
    {
        Judge.Run("mcopy", "-n", "-o", "-i", $"{disk}@@{4 << 20}", "::" + path, Path.Combine(_folder, "file")).MustPass("mcopy");
        return File.ReadAllBytes(Path.Combine(_folder, "file"));
    }
}
