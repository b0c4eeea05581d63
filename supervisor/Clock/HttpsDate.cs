using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using OsBuild.Supervisor.Fleet;

namespace OsBuild.Supervisor.Clock;

/// <summary>The time from the Date header of an HTTPS answer (RFC 9110 §6.6.1), for networks that let no NTP through. The certificate must be right in all but
/// its time, which the clock cannot tell yet; then the answer's date has to lie in the time the whole chain is valid.</summary>
internal static class HttpsDate
{
    /// <summary>The header has whole seconds.</summary>
    private static readonly TimeSpan Resolution = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan CallTime = TimeSpan.FromSeconds(20);

    /// <summary>Asks one site; null when it does not answer or must not be believed.</summary>
    /// <param name="site">An https address.</param>
    /// <param name="root">The authority (PEM) to trust instead of the host's, or null.</param>
    /// <param name="proxy">The network's proxy, or null.</param>
    /// <param name="stop">Ends the call.</param>
    public static async Task<TimeSample?> AskAsync(Uri site, string? root, IWebProxy? proxy, CancellationToken stop)
    {
        if (site.Scheme != Uri.UriSchemeHttps) return null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(CallTime);
        var valid = (From: DateTimeOffset.MaxValue, To: DateTimeOffset.MinValue);
        try
        {
            using var handler = FleetApi.Handler(root, proxy);
            handler.SslOptions.RemoteCertificateValidationCallback = (_, _, chain, errors) =>
            {
                if (chain is null || !RightButForTime(chain, errors)) return false;
                valid = (chain.ChainElements.Max(e => e.Certificate.NotBefore), chain.ChainElements.Min(e => e.Certificate.NotAfter));
                return true;
            };
            using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
            var sent = DateTimeOffset.UtcNow;
            var clock = Stopwatch.GetTimestamp();
            using var question = new HttpRequestMessage(HttpMethod.Head, site);
            using var answer = await http.SendAsync(question, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            return Sample(site, answer.Headers.Date, valid, sent, Stopwatch.GetElapsedTime(clock));
        }
        catch (Exception e) when (e is HttpRequestException or TypeInitializationException or DllNotFoundException || e is OperationCanceledException && !stop.IsCancellationRequested)
        {
            // The last two: a host without libssl, which the fleet's own calls tell of.
            return null;
        }
    }

    /// <summary>Pure: the sample in an answer.</summary>
    /// <param name="site">Who said it.</param>
    /// <param name="date">The Date header.</param>
    /// <param name="valid">From when to when every certificate of the chain is valid.</param>
    /// <param name="sent">Our clock when the question went.</param>
    /// <param name="delay">Time until the answer came, by the monotonic clock.</param>
    public static TimeSample? Sample(Uri site, DateTimeOffset? date, (DateTimeOffset From, DateTimeOffset To) valid, DateTimeOffset sent, TimeSpan delay) =>
        date is { } time && time >= valid.From && time <= valid.To ? new(site.Host, time + (Resolution / 2) - (sent + (delay / 2)), delay + Resolution) : null;

    private static bool RightButForTime(X509Chain chain, SslPolicyErrors errors) =>
        (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == SslPolicyErrors.None && chain.ChainStatus.All(s => s.Status is X509ChainStatusFlags.NoError or X509ChainStatusFlags.NotTimeValid);
}
