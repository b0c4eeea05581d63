using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace OsBuild.SystemTests;

/// <summary>A machine in QEMU: a serial console that is read as text, a power button, and a plug that can be pulled.
/// Emulated (TCG), so limits are generous; nothing here depends on how fast it is.</summary>
internal sealed class Machine : IDisposable
{
    private readonly Process _process;
    private readonly string _folder;
    private readonly StringBuilder _complaints = new();

    private Machine(ProcessStartInfo start, string folder, int port)
    {
        _folder = folder;
        Port = port;
        Control = new Qmp(Path.Combine(folder, "qmp"));
        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, e) => _complaints.AppendLine(e.Data);
        _process.BeginErrorReadLine();
    }

    /// <summary>Port on this machine that leads to port 80 of the guest.</summary>
    public int Port { get; }

    /// <summary>QEMU's own controls.</summary>
    public Qmp Control { get; }

    /// <summary>Where console.log and the sockets of this machine are.</summary>
    public string Folder => _folder;

    public bool IsOn => !_process.HasExited;

    /// <summary>What the guest has printed on its serial console so far.</summary>
    public string Console => Log("console.log");

    /// <summary>What it has printed on its second serial console, where the board's firmware uses that.</summary>
    public string FirmwareConsole => Log("firmware.log");

    /// <summary>Switches a board on.</summary>
    /// <param name="board">Name of the board; its file says how QEMU runs it.</param>
    /// <param name="disk">The disk it boots from.</param>
    /// <param name="options">Further options of QEMU.</param>
    public static Machine Start(string board, string disk, params string[] options)
    {
        var folder = NewFolder();
        var port = FreePort();
        return new Machine(Command(Path.Combine(Checkout.Top, "tests/reference/machine.sh"), [board, disk, folder, port.ToString(CultureInfo.InvariantCulture), .. options]), folder, port);
    }

    /// <summary>Switches a machine of one's own on: QEMU with these options; <c>{folder}</c> in them is the machine's folder.</summary>
    public static Machine StartOwn(string qemu, params string[] options)
    {
        Judge.Require(qemu);
        var folder = NewFolder();
        string[] own = ["-accel", "tcg,thread=multi", "-display", "none", "-no-reboot", "-qmp", $"unix:{folder}/qmp,server=on,wait=off"];
        return new Machine(Command(qemu, [.. own, .. options.Select(o => o.Replace("{folder}", folder, StringComparison.Ordinal))]), folder, 0);
    }

    /// <summary>Leads a port of this machine to one of the guest; gives its address.</summary>
    public string Forward(int guestPort)
    {
        var port = FreePort();
        Control.Run("human-monitor-command", $"{{\"command-line\":\"hostfwd_add net tcp:127.0.0.1:{port}-:{guestPort}\"}}");
        return $"127.0.0.1:{port}";
    }

    /// <summary>Waits for a line on the console; gives the match.</summary>
    public Match WaitFor(string pattern, TimeSpan limit, Func<string>? where = null)
    {
        var expression = new Regex(pattern, RegexOptions.Multiline);
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var ended = !IsOn || clock.Elapsed > limit; // before the look, so that nothing said last is missed
            if (expression.Match((where ?? (() => Console))()) is { Success: true } match) return match;
            if (ended) break;
            Thread.Sleep(100);
        }

        Assert.Fail($"no line like '{pattern}' {(IsOn ? $"within {limit}" : "before the machine ended")}:\n{_complaints}{Tail()}");
        throw new UnreachableException();
    }

    /// <summary>Waits until the guest's port 80 gives a page.</summary>
    public string WaitForPage(string path, TimeSpan limit)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < limit && IsOn)
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

    /// <summary>Presses the power button and waits until the machine has switched itself off, cleanly.</summary>
    public void PowerOff()
    {
        Control.Run("system_powerdown");
        WaitFor(@"^\[osbuild\] \+[\d.]+s clean shutdown: power button", TimeSpan.FromMinutes(4));
        WaitForEnd(TimeSpan.FromMinutes(2));
    }

    /// <summary>Waits until the machine is off.</summary>
    public void WaitForEnd(TimeSpan limit) => Assert.True(_process.WaitForExit(limit), $"the machine is still on after {limit}:\n{Tail()}");

    /// <summary>Pulls the plug.</summary>
    public void PullPlug()
    {
        foreach (var child in Children(_process.Id)) Judge.Run("kill", "-9", child.ToString(CultureInfo.InvariantCulture));
        _process.WaitForExit(TimeSpan.FromSeconds(30));
    }

    public void Dispose()
    {
        if (IsOn) PullPlug();
        Control.Dispose();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private string Log(string name)
    {
        var path = Path.Combine(_folder, name);
        if (!File.Exists(path)) return "";
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd().Replace("\r", "", StringComparison.Ordinal);
    }

    private string Tail() => string.Join('\n', (FirmwareConsole + Console).Split('\n').TakeLast(60));

    private static string NewFolder() => Directory.CreateTempSubdirectory("osbuild-machine-").FullName;

    /// <summary>A machine that is forgotten ends after an hour.</summary>
    private static ProcessStartInfo Command(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("timeout") { RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in (string[])["--kill-after=5", "3600", program, .. arguments]) start.ArgumentList.Add(argument);
        start.Environment["OSBUILD_WORK"] = Checkout.Work;
        return start;
    }

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
