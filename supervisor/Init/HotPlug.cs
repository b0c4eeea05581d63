using System.Diagnostics;
using System.Text;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>What the kernel says when a device comes or goes (netlink, NETLINK_KOBJECT_UEVENT): <c>ACTION@PATH</c> and then <c>NAME=VALUE</c>, a zero after each.</summary>
/// <param name="Action">add, remove, change, bind ...</param>
/// <param name="Path">The device below /sys.</param>
/// <param name="Modalias">What its driver is found by, or null.</param>
internal sealed record Uevent(string Action, string Path, string? Modalias)
{
    /// <summary>Null for what is no event of the kernel; udev's own messages on this socket begin otherwise.</summary>
    public static Uevent? Parse(ReadOnlySpan<byte> message)
    {
        var parts = Encoding.UTF8.GetString(message).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0 || parts[0].Split('@', 2) is not [{ Length: > 0 } action, ['/', ..] path]) return null;
        return new(action, path, parts.Skip(1).FirstOrDefault(p => p.StartsWith("MODALIAS=", StringComparison.Ordinal))?["MODALIAS=".Length..]);
    }
}

/// <summary>Gives a device that is plugged in its driver, as udev would: the node in /dev is then made by the kernel itself.</summary>
/// <param name="load">Loads the driver of a modalias.</param>
internal sealed class HotPlug(Action<string> load)
{
    private const int KernelEvents = 15; // NETLINK_KOBJECT_UEVENT
    private const int MaxKnown = 4096;

    /// <summary>Asked for before: a driver stays loaded.</summary>
    private readonly HashSet<string> known = [];

    /// <summary>Listens until <paramref name="stop"/>; a thread of its own waits in the socket.</summary>
    public Task RunAsync(CancellationToken stop) => Task.Factory.StartNew(() => Listen(stop), stop, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(stop);

    /// <summary>What one event asks for.</summary>
    public void Take(Uevent? happened)
    {
        if (happened is not { Action: "add", Modalias: { Length: > 0 } alias }) return;
        if (known.Count >= MaxKnown) known.Clear();
        if (known.Add(alias)) load(alias);
    }

    /// <summary>This same program as modprobe: the tables of all drivers cost memory only while they are needed.</summary>
    public static void Load(string alias)
    {
        using var modprobe = Process.Start(new ProcessStartInfo(Environment.ProcessPath!) { ArgumentList = { "modprobe", "-q", "--", alias } })!;
        modprobe.WaitForExit();
    }

    private void Listen(CancellationToken stop)
    {
        using var socket = new NetlinkFile(KernelEvents, groups: 1);
        var buffer = new byte[16384];
        while (!stop.IsCancellationRequested)
        {
            try
            {
                Take(Uevent.Parse(buffer.AsSpan(0, socket.Receive(buffer))));
            }
            catch (LinuxException e) when (e.Errno is Libc.EINTR or Libc.ENOBUFS)
            {
                // More events at once than the socket holds: what was lost is found at the next boot at the latest.
            }
        }
    }
}
