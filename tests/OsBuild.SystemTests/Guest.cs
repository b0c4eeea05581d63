using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace OsBuild.SystemTests;

/// <summary>A guest of tests/reference/guest.sh: takes commands over its virtio console. Its disks are files of this machine.</summary>
internal sealed class Guest : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);
    private readonly Machine _machine;
    private readonly Socket _shell;
    private int _seen;

    private static readonly string[] Common =
    [
        "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "768", "-nic", "none", "-serial", "file:{folder}/firmware.log",
        "-chardev", "socket,id=shell,path={folder}/shell,server=on,wait=off,logfile={folder}/console.log", "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=shell",
        "-device", "qemu-xhci,id=xhci", "-device", "sdhci-pci,id=sdhci",
    ];

    /// <summary>What the kernel is told. On a busy machine its test of an emulated timer fails, and it would stop there.</summary>
    public const string KernelCommandLine = "console=ttyS0 quiet loglevel=1 panic=-1 no_timer_check";

    /// <summary>Switches one on whose kernel QEMU loads.</summary>
    /// <param name="devices">Options of QEMU for its disks.</param>
    public Guest(params string[] devices)
        : this(["-kernel", Path.Combine(Files, "vmlinuz"), "-initrd", Path.Combine(Files, "initrd"), "-append", KernelCommandLine], devices)
    {
    }

    private Guest(string[] start, string[] devices)
    {
        _machine = Machine.StartOwn("qemu-system-x86_64", [.. Common, .. start, .. devices]);
        try
        {
            var path = Path.Combine(_machine.Folder, "shell");
            for (var clock = Stopwatch.StartNew(); !File.Exists(path) && clock.Elapsed < Long;) Thread.Sleep(50);
            _shell = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            _shell.Connect(new UnixDomainSocketEndPoint(path));
            new Thread(Drain) { IsBackground = true }.Start();
            Until("GUEST READY\n");
        }
        catch
        {
            _machine.Dispose();
            throw;
        }
    }

    /// <summary>The folder with <c>vmlinuz</c> and <c>initrd</c>.</summary>
    public static string Files => Checkout.Script(TimeSpan.FromMinutes(10), "guest.sh").Split('\n')[0];

    /// <summary>Switches one on that UEFI firmware starts from one of its disks.</summary>
    public static Guest FromFirmware(params string[] devices) => new(
        ["-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd", "-drive", "if=pflash,unit=1,format=raw,snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.fd"], devices);

    /// <summary>The power goes.</summary>
    public void PullPlug() => _machine.PullPlug();

    /// <summary>The console's file is what counts; but what nobody takes from the socket stops the guest.</summary>
    private void Drain()
    {
        var buffer = new byte[4096];
        try
        {
            while (_shell.Receive(buffer) > 0) { }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The machine is off.
        }
    }

    /// <summary>QEMU's own controls.</summary>
    public Qmp Control => _machine.Control;

    /// <summary>Runs a command line of the guest's shell.</summary>
    public (int ExitCode, string Output) Run(string command)
    {
        Type(command);
        var end = Until(@"GUEST EXIT (\d+)\n");
        return (int.Parse(end.Match.Groups[1].Value, CultureInfo.InvariantCulture), end.Before);
    }

    /// <summary>Runs a command that must succeed.</summary>
    public string Do(string command)
    {
        var (code, output) = Run(command);
        Assert.True(code == 0, $"{command} ended with {code}:\n{output}");
        return output;
    }

    /// <summary>What <c>flasher list --json</c> prints, a line a drive; by way of a file, since the console mixes it with what is said on the error output.</summary>
    public IEnumerable<JsonElement> List()
    {
        Do("flasher list --json > /tmp/list");
        return Do("cat /tmp/list").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement);
    }

    /// <summary>Types a line, for a program that waits for one.</summary>
    public void Type(string line) => _shell.Send(Encoding.UTF8.GetBytes(line + "\n"));

    /// <summary>Waits for something on the console; gives it and what came before it.</summary>
    public (Match Match, string Before) Until(string pattern)
    {
        var from = _seen;
        var match = _machine.WaitFor(pattern, Long, () => _machine.Console[from..]);
        _seen = from + match.Index + match.Length;
        return (match, _machine.Console[from..][..match.Index]);
    }

    /// <summary>Makes a prepared file system, mounted at /mnt, the root of the running system.</summary>
    public void SwitchRoot()
    {
        Do("cp -a /bin /lib /lib64 /etc /init /mnt/ && for d in dev proc sys run tmp mnt home modules media media/stick; do mkdir -p /mnt/$d; done && : > /mnt/modules/load && umount /proc /sys /run /tmp");
        Type("exec switch_root /mnt /init");
        Until("GUEST READY\n");
    }

    /// <summary>SHA-256 of the first bytes of a disk's file.</summary>
    public static string Digest(string disk, long length)
    {
        using var file = File.OpenRead(disk);
        using var part = new OsBuild.Images.Streams.SubStream(file, 0, length);
        return Convert.ToHexStringLower(SHA256.HashData(part));
    }

    public void Dispose()
    {
        _shell.Dispose();
        _machine.Dispose();
    }
}
