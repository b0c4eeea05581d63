using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>A client that connects all the time, a new connection for every request, and counts what it lost.</summary>
internal sealed class Hammer : IAsyncDisposable
{
    /// <summary>Seconds after which an answer will not come: only there so that a test ends, on however slow a machine.</summary>
    public const int HangGuard = 300;

    private readonly CancellationTokenSource stop = new();
    private readonly byte[] question;
    private readonly Func<string, string> read;
    private readonly List<string> sequence = [];
    private readonly Task task;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private TimeSpan lastGood;

    /// <param name="port">A port of this machine.</param>
    /// <param name="path">What is asked for.</param>
    /// <param name="read">What of a page tells one release from another; all of it when null.</param>
    public Hammer(int port, string path = "/", Func<string, string>? read = null)
    {
        (question, this.read) = (Encoding.ASCII.GetBytes($"GET {path} HTTP/1.0\r\n\r\n"), read ?? (page => page.Trim()));
        task = RunAsync(port);
    }

    public int Requests { get; private set; }
    public int Lost { get; private set; }

    /// <summary>The longest time between two answers.</summary>
    public TimeSpan LongestGap { get; private set; }

    /// <summary>Every different page with the number of times it was seen.</summary>
    public Dictionary<string, int> Pages { get; } = [];

    /// <summary>What was seen, one after the other: each once as long as it stayed.</summary>
    public IReadOnlyList<string> Sequence
    {
        get
        {
            lock (Pages) return [.. sequence];
        }
    }

    public bool Saw(string page)
    {
        lock (Pages) return Pages.ContainsKey(page);
    }

    private async Task RunAsync(int port)
    {
        while (!stop.IsCancellationRequested)
        {
            Requests++;
            try
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(HangGuard));
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), limit.Token);
                await socket.SendAsync(question, SocketFlags.None, limit.Token);
                var answer = new StringBuilder();
                var buffer = new byte[4096];
                for (int count; (count = await socket.ReceiveAsync(buffer, SocketFlags.None, limit.Token)) > 0;) answer.Append(Encoding.ASCII.GetString(buffer, 0, count));
                var text = answer.ToString();
                if (!text.StartsWith("HTTP/1.0 200", StringComparison.Ordinal) && !text.StartsWith("HTTP/1.1 200", StringComparison.Ordinal)) throw new IOException("no page");
                var page = read(text[(text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
                if (page.Length == 0) throw new IOException("the page was cut off");
                lock (Pages)
                {
                    Pages[page] = Pages.GetValueOrDefault(page) + 1;
                    if (sequence.Count == 0 || sequence[^1] != page) sequence.Add(page);
                }

                if (lastGood > TimeSpan.Zero && clock.Elapsed - lastGood > LongestGap) LongestGap = clock.Elapsed - lastGood;
                lastGood = clock.Elapsed;
                // Leaves the engine and its containers some of the machine.
                await Task.Delay(5);
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
            {
                Lost++;
                await Task.Delay(2);
            }
        }
    }

    /// <summary>Waits for an answer to a request that begins now.</summary>
    public async Task UntilAnswersAsync()
    {
        var before = Requests - Lost;
        for (var i = 0; i < HangGuard * 10; i++)
        {
            // The one that was under way may have begun before.
            if (Requests - Lost > before + 2) return;
            await Task.Delay(100);
        }

        Assert.Fail($"nothing answers: {Lost} of {Requests} requests lost");
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await task;
    }
}
