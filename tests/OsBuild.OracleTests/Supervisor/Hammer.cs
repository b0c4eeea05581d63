using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>A client that connects all the time, a new connection for every request, and counts what it lost.</summary>
internal sealed class Hammer : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly Task task;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private TimeSpan lastGood;

    public Hammer(int port) => task = RunAsync(port);

    public int Requests { get; private set; }
    public int Lost { get; private set; }

    /// <summary>The longest time between two answers.</summary>
    public TimeSpan LongestGap { get; private set; }

    /// <summary>Every different page with the number of times it was seen.</summary>
    public Dictionary<string, int> Pages { get; } = [];

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
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(Device.HangGuard));
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), limit.Token);
                await socket.SendAsync("GET / HTTP/1.0\r\n\r\n"u8.ToArray(), SocketFlags.None, limit.Token);
                var answer = new StringBuilder();
                var buffer = new byte[4096];
                for (int count; (count = await socket.ReceiveAsync(buffer, SocketFlags.None, limit.Token)) > 0;) answer.Append(Encoding.ASCII.GetString(buffer, 0, count));
                var text = answer.ToString();
                if (!text.StartsWith("HTTP/1.0 200", StringComparison.Ordinal) && !text.StartsWith("HTTP/1.1 200", StringComparison.Ordinal)) throw new IOException("no page");
                var page = text[(text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..].Trim();
                if (page.Length == 0) throw new IOException("the page was cut off");
                lock (Pages) Pages[page] = Pages.GetValueOrDefault(page) + 1;
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
        for (var i = 0; i < Device.HangGuard * 10; i++)
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
