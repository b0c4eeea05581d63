using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Network;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Clock;

/// <summary>Keeps the time while the device runs: asks time servers, sets the clock and the battery clock, saves the time each hour.</summary>
internal static class ClockAgent
{
    private static readonly string[] PublicServers = ["0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org"];

    /// <param name="paths">Where the host is.</param>
    /// <param name="fleet">The fleet, which is asked when no time server answers.</param>
    /// <param name="stop">Ends it.</param>
    public static async Task RunAsync(HostPaths paths, FleetConfig fleet, CancellationToken stop)
    {
        if (!NetworkAgent.IsOurs(paths)) return; // under another init the time is its business
        var config = HostConfig.Read(paths.ConfigYaml, Log);
        var saved = Stopwatch.StartNew();
        var failures = 0;
        while (!stop.IsCancellationRequested)
        {
            var samples = File.Exists(Path.Combine(paths.Run, "addresses")) ? await AskAllAsync(Servers(paths, config), Sites(config, fleet), config.Proxy, stop) : [];
            var correction = SntpFilter.Judge(samples, DateTimeOffset.UtcNow, ClockStart.Built);
            Apply(paths, correction, first: failures == 0);
            failures = correction is ClockCorrection.Wait ? failures + 1 : 0;
            if (saved.Elapsed > TimeSpan.FromMinutes(55))
            {
                ClockStart.Save(paths);
                saved.Restart();
            }

            await Task.Delay(SntpFilter.Next(correction, failures), stop);
        }
    }

    /// <summary>The user's servers, else those of the network, else the public pool.</summary>
    private static string[] Servers(HostPaths paths, HostConfig config)
    {
        if (config.TimeServers.Count > 0) return [.. config.TimeServers.Where(s => !IsSite(s))];
        var path = Path.Combine(paths.Run, "ntp-servers");
        var local = File.Exists(path) ? File.ReadAllLines(path).Where(l => l.Length > 0).ToArray() : [];
        return local.Length > 0 ? local : PublicServers;
    }

    /// <summary>Asked for the date of their answers: the user's https addresses, else the fleet's, which the device talks to anyway.</summary>
    private static List<(Uri Site, string? Root)> Sites(HostConfig config, FleetConfig fleet)
    {
        List<(Uri, string?)> named = [.. config.TimeServers.Where(IsSite).Where(s => Uri.IsWellFormedUriString(s, UriKind.Absolute)).Select(s => (new Uri(s), (string?)null))];
        if (named.Count > 0) return named;
        return fleet.ApiEndpoint is { } endpoint ? [(endpoint, fleet.RootCertificate)] : [];
    }

    private static bool IsSite(string server) => server.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    private static void Apply(HostPaths paths, ClockCorrection correction, bool first)
    {
        switch (correction)
        {
            case ClockCorrection.Step step:
                Libc.SetClock(DateTimeOffset.UtcNow + step.By);
                Log($"clock set by {step.By.TotalSeconds:+0.000;-0.000} s to {DateTimeOffset.UtcNow:u}");
                HostEvent.Report("time", $"{DateTimeOffset.UtcNow:u}");
                Store(paths);
                break;
            case ClockCorrection.Keep: Store(paths); break;
            case ClockCorrection.Wait wait when first: Log($"{wait.Why}; asking on"); break;
        }
    }

    private static void Store(HostPaths paths)
    {
        try
        {
            Rtc.Write(DateTimeOffset.UtcNow);
            ClockStart.Save(paths);
        }
        catch (IOException e)
        {
            Log(e.Message);
        }
    }

    /// <summary>One answer each of the time servers; when none answers, of the sites.</summary>
    public static async Task<IReadOnlyList<TimeSample>> AskAllAsync(IReadOnlyList<string> servers, IReadOnlyList<(Uri Site, string? Root)> sites, IWebProxy? proxy, CancellationToken stop)
    {
        var answers = await Task.WhenAll(servers.Take(4).Select(s => AskAsync(s, 123, stop)));
        if (Array.TrueForAll(answers, a => a is null)) answers = await Task.WhenAll(sites.Take(4).Select(s => HttpsDate.AskAsync(s.Site, s.Root, proxy, stop)));
        return [.. answers.OfType<TimeSample>()];
    }

    /// <summary>One question to one server; null when it does not answer or must not be believed.</summary>
    public static async Task<TimeSample?> AskAsync(string server, int port, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(TimeSpan.FromSeconds(5));
        try
        {
            var addresses = await Dns.GetHostAddressesAsync(server, limit.Token);
            if (addresses.Length == 0) return null;
            using var socket = new Socket(addresses[0].AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            await socket.ConnectAsync(new IPEndPoint(addresses[0], port), limit.Token); // the kernel drops answers of others
            var nonce = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) | 1;
            var bytes = new byte[SntpPacket.Size];
            SntpPacket.Question(nonce).Write(bytes);
            var sent = DateTimeOffset.UtcNow;
            var clock = Stopwatch.GetTimestamp();
            await socket.SendAsync(bytes, limit.Token);
            while (true)
            {
                var buffer = new byte[256];
                var got = await socket.ReceiveAsync(buffer, limit.Token);
                var delay = Stopwatch.GetElapsedTime(clock);
                if (got >= SntpPacket.Size && SntpFilter.Sample(server, SntpPacket.Read(buffer.AsSpan(0, SntpPacket.Size)), nonce, sent, delay) is { } sample) return sample;
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException && !stop.IsCancellationRequested)
        {
            return null;
        }
    }

    private static void Log(string text) => Console.Out.WriteLine($"clock: {text}");
}
