using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Network;

/// <summary>Keeps the host's interfaces configured while the device runs: those there at boot and those plugged in later.</summary>
internal static class NetworkAgent
{
    public static async Task RunAsync(HostPaths paths, CancellationToken stop)
    {
        if (!IsOurs(paths)) return; // a service under another init: the network is its business
        var config = HostConfig.Read(paths.ConfigYaml, Log);
        var settings = new Dictionary<string, InterfaceSettings?>(StringComparer.Ordinal);
        var running = new Dictionary<string, Task>(StringComparer.Ordinal);
        var announced = false;
        while (!stop.IsCancellationRequested)
        {
            foreach (var link in Links.Physical())
            {
                var wanted = config.For(link.Name);
                if (wanted.Off || (running.TryGetValue(link.Name, out var task) && !task.IsCompleted)) continue;
                if (task?.Exception is { } failed) Log($"{link.Name}: {failed.InnerException?.Message}");
                var agent = new InterfaceAgent(link, wanted, Environment.MachineName, s => Changed(link.Name, s), Log);
                running[link.Name] = Task.Run(() => agent.RunAsync(stop), stop);
            }

            await Task.Delay(2000, stop);
        }

        void Changed(string name, InterfaceSettings? now)
        {
            lock (settings)
            {
                settings[name] = now;
                var all = settings.Values.OfType<InterfaceSettings>().OrderBy(s => s.Name, StringComparer.Ordinal).ToList();
                Write(paths, all);
                if (now is null) return;
                if (announced) Log($"{name} {now.Address}/{now.PrefixLength}");
                else HostEvent.Report("network", $"{name} {now.Address}/{now.PrefixLength}");
                announced = true;
            }
        }
    }

    /// <summary>PID 1 is this program only when it has left its report.</summary>
    public static bool IsOurs(HostPaths paths) => File.Exists(Path.Combine(paths.Run, "host.json"));

    private static void Write(HostPaths paths, List<InterfaceSettings> all)
    {
        Replace("/run/resolv.conf", ResolvConf.Text(all.SelectMany(s => s.Dns), all.Select(s => s.Domain).OfType<string>()));
        Replace(Path.Combine(paths.Run, "ntp-servers"), string.Concat(all.SelectMany(s => s.Ntp).Distinct().Select(a => $"{a}\n")));
        Replace(Path.Combine(paths.Run, "addresses"), string.Concat(all.Select(s => $"{s.Name} {s.Address}/{s.PrefixLength}\n")));
    }

    private static void Replace(string path, string text)
    {
        try
        {
            File.WriteAllText(path + ".new", text);
            File.Move(path + ".new", path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log($"{path}: {e.Message}");
        }
    }

    private static void Log(string text) => Console.Out.WriteLine($"network: {text}");
}
