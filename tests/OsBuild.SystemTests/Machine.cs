using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace OsBuild.SystemTests;

/// <summary>A machine in QEMU: a disk, a serial console that is read as text, a power button, and a plug that can be pulled.
/// Emulated (TCG), so limits are generous; nothing here depends on how fast it is.</summary>
internal sealed class Machine : IDisposable
{
    private readonly Process _process;
    private readonly string _directory;
    private readonly StringBuilder _complaints = new();

    private Machine(Process process, string directory, int port)
    {
        _process = process;
        _directory = directory;
        Port = port;
        process.ErrorDataReceived += (_, e) => _complaints.AppendLine(e.Data);
        process.BeginErrorReadLine();
    }

    /// <summary>Port on this machine that leads to port 80 of the guest.</summary>
    public int Port { get; }

    /// <summary>What the guest has printed on its serial console so far.</summary>
    public string Console
    {
        get
        {
            var path = Path.Combine(_directory, "console.log");
            if (!File.Exists(path)) return "";
            using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            return reader.ReadToEnd().Replace("\r", "", StringComparison.Ordinal);
        }
    }

    /// <summary>Switches a machine on.</summary>
    public static Machine Start(Board board, string disk, int memory = 768)
    {
        Judge.Require(board.Qemu);
        var directory = Directory.CreateTempSubdirectory("osbuild-machine-").FullName;
        var port = FreePort();
        var variables = Path.Combine(directory, "vars.fd");
        File.Copy(board.FirmwareVariables, variables);
        string[] arguments =
        [
            .. board.MachineArguments, "-accel", "tcg,thread=multi", "-smp", "2", "-m", memory.ToString(CultureInfo.InvariantCulture), "-display", "none", "-no-reboot",
            "-serial", $"file:{directory}/console.log", "-qmp", $"unix:{directory}/qmp,server=on,wait=off",
            "-drive", $"if=pflash,unit=0,format=raw,readonly=on,file={board.Firmware}", "-drive", $"if=pflash,unit=1,format=raw,file={variables}",
            "-drive", $"file={disk},if=none,id=disk,format=raw", "-device", "virtio-blk-pci,drive=disk,bootindex=0",
            "-netdev", $"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:80", "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci",
        ];
        var start = new ProcessStartInfo("timeout") { RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in (string[])["--kill-after=5", "3600", board.Qemu, .. arguments]) start.ArgumentList.Add(argument);
        return new Machine(Process.Start(start)!, directory, port);
    }

    /// <summary>Waits for a line of the supervisor's time line; gives the match.</summary>
    public Match WaitFor(string pattern, TimeSpan limit)
    {
        var expression = new Regex(pattern, RegexOptions.Multiline);
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < limit)
        {
            if (expression.Match(Console) is { Success: true } match) return match;
            if (_process.HasExited) break;
            Thread.Sleep(100);
        }

        if (expression.Match(Console) is { Success: true } late) return late;
        Assert.Fail($"no line like '{pattern}' {(_process.HasExited ? "before the machine ended" : $"within {limit}")}:\n{_complaints}{Tail()}");
        throw new UnreachableException();
    }

    /// <summary>Waits until the guest's port 80 gives a page.</summary>
    public string WaitForPage(string path, TimeSpan limit)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < limit && !_process.HasExited)
        {
            try
            {
                return client.GetStringAsync(new Uri($"http://127.0.0.1:{Port}{path}")).GetAwaiter().GetResult();
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                Thread.Sleep(500);
            }
        }

        Assert.Fail($"no page from a container within {limit}:\n{_complaints}{Tail()}");
        throw new UnreachableException();
    }

    /// <summary>Presses the ACPI power button.</summary>
    public void PressPowerButton() => Command("system_powerdown");

    /// <summary>Waits until the guest has switched itself off.</summary>
    public void WaitForEnd(TimeSpan limit) => Assert.True(_process.WaitForExit(limit), $"the machine is still on after {limit}:\n{Tail()}");

    /// <summary>Pulls the plug.</summary>
    public void PullPlug()
    {
        foreach (var child in Children(_process.Id)) Judge.Run("kill", "-9", child.ToString(CultureInfo.InvariantCulture));
        _process.WaitForExit(TimeSpan.FromSeconds(30));
    }

    public void Dispose()
    {
        if (!_process.HasExited) PullPlug();
        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private void Command(string name)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(Path.Combine(_directory, "qmp")));
        using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream);
        reader.ReadLine(); // the greeting
        foreach (var command in (string[])["qmp_capabilities", name])
        {
            stream.Write(Encoding.ASCII.GetBytes($"{{\"execute\":\"{command}\"}}\n"));
            while (reader.ReadLine() is { } line && !line.Contains("\"return\"", StringComparison.Ordinal))
                Assert.DoesNotContain("\"error\"", line, StringComparison.Ordinal);
        }
    }

    private string Tail() => string.Join('\n', Console.Split('\n').TakeLast(60));

    /// <summary>QEMU is the only child of timeout(1).</summary>
    private static IEnumerable<int> Children(int pid)
    {
        var path = $"/proc/{pid}/task/{pid}/children";
        return File.Exists(path) ? File.ReadAllText(path).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse) : [];
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

/// <summary>What QEMU needs to know of a board.</summary>
internal sealed record Board(string Name, string DebianArchitecture, string Runtime, string Qemu, string Firmware, string FirmwareVariables, string[] MachineArguments)
{
    public static readonly Board X64 = new("qemux86-64", "amd64", "linux-x64", "qemu-system-x86_64", "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd",
        ["-machine", "q35", "-cpu", "max", "-device", "i6300esb", "-action", "watchdog=reset"]);

    public static readonly Board Arm64 = new("qemuarm64", "arm64", "linux-arm64", "qemu-system-aarch64", "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd",
        ["-machine", "virt", "-cpu", "cortex-a57"]);
}
