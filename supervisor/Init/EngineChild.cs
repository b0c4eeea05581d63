using System.Net;
using System.Net.Sockets;
using System.Text;
using OsBuild.Supervisor.Network;

namespace OsBuild.Supervisor.Init;

/// <summary>The container engine as PID 1 starts it.</summary>
internal static class EngineChild
{
    /// <summary>The engine found on the root, or null. Every option that changes what is on disk is pinned: dockerd silently falls back to other
    /// storage drivers, which hides every image.</summary>
    public static ChildSpec? Find(Func<string, bool> exists, string data, string socket, HostProxy? proxy = null)
    {
        if (Program("dockerd") is not { } dockerd) return null;
        List<string> arguments =
        [
            "--host", "unix://" + socket, "--data-root", Path.Combine(data, "docker"), "--exec-root", "/run/docker", "--pidfile", "/run/docker.pid",
            "--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs", "--live-restore",
            "--log-driver", "local", "--log-opt", "max-size=2m", "--log-opt", "max-file=3",
            "--max-concurrent-downloads", "2", "--shutdown-timeout", "15",
        ];
        if (Program("docker-proxy") is null) arguments.Add("--userland-proxy=false");

        // Without iptables there is no bridge network: containers with the host's network still work, which beats an engine that does not start.
        if (Program("iptables") is null) arguments.AddRange(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
        var environment = new Dictionary<string, string> { ["TMPDIR"] = Path.Combine(data, "tmp"), ["HOME"] = "/root" };
        if (proxy is not null) foreach (var (name, value) in proxy.Environment) environment[name] = value;
        return new ChildSpec("engine", dockerd, arguments, OomScore: -900, "engine", environment);

        string? Program(string name) => Programs.Find(name, exists);
    }

    /// <summary>True when the engine answers. Plain HTTP by hand: PID 1 stays free of a client library.</summary>
    public static Task<bool> AnswersAsync(string socket, TimeSpan patience) => AnswersAsync(socket, "/_ping", patience);

    /// <summary>True when something answers 200 on a unix socket.</summary>
    public static async Task<bool> AnswersAsync(string socket, string path, TimeSpan patience)
    {
        try
        {
            using var limit = new CancellationTokenSource(patience);
            using var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), limit.Token);
            await connection.SendAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n"), limit.Token);
            var buffer = new byte[64];
            var got = await connection.ReceiveAsync(buffer, limit.Token);
            return IsGood(Encoding.ASCII.GetString(buffer, 0, got));
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or IOException)
        {
            return false;
        }
    }

    /// <summary>The status line of a healthy engine.</summary>
    public static bool IsGood(string answer) => answer.StartsWith("HTTP/1.", StringComparison.Ordinal) && answer.Contains(" 200 ", StringComparison.Ordinal);
}
