using System.Diagnostics;

namespace OsBuild.SystemTests;

/// <summary>A client that asks for a page all the time, over a new connection for each request, and counts what it lost.</summary>
internal sealed class PollingClient : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;
    private readonly List<string> _pages = [];

    /// <param name="port">A port of this machine.</param>
    /// <param name="path">The page.</param>
    /// <param name="read">What of the page tells one release from another.</param>
    public PollingClient(int port, string path, Func<string, string> read)
    {
        _thread = new(() => Run(new Uri($"http://127.0.0.1:{port}{path}"), read));
        _thread.Start();
    }

    public int Requests { get; private set; }
    public int Lost { get; private set; }

    /// <summary>The longest time between two answers.</summary>
    public TimeSpan LongestGap { get; private set; }

    /// <summary>What was seen, one after the other: each once as long as it stayed.</summary>
    public IReadOnlyList<string> Pages
    {
        get
        {
            lock (_pages) return [.. _pages];
        }
    }

    public string? Last => Pages is [.., var last] ? last : null;

    public void Stop()
    {
        _stop.Cancel();
        _thread.Join();
    }

    public void Dispose()
    {
        Stop();
        _stop.Dispose();
    }

    private void Run(Uri page, Func<string, string> read)
    {
        var sinceAnswer = Stopwatch.StartNew();
        while (!_stop.IsCancellationRequested)
        {
            Requests++;
            try
            {
                using var client = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero }) { Timeout = TimeSpan.FromMinutes(2) };
                Note(read(client.GetStringAsync(page).GetAwaiter().GetResult()));
                if (sinceAnswer.Elapsed > LongestGap) LongestGap = sinceAnswer.Elapsed;
                sinceAnswer.Restart();
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                Lost++;
            }

            _stop.Token.WaitHandle.WaitOne(200); // leaves the emulated machine something of itself
        }
    }

    private void Note(string page)
    {
        lock (_pages)
            if (_pages.Count == 0 || _pages[^1] != page) _pages.Add(page);
    }
}
