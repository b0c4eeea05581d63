using System.Globalization;
using OsBuild.Supervisor.Clock;
using OsBuild.Tests.Supervisor.Fleet;
using static OsBuild.Tests.Supervisor.TestCertificates;

namespace OsBuild.Tests.Supervisor.Clock;

/// <summary>The time from an HTTPS answer where no NTP gets through, from a real TLS server on loopback.</summary>
public sealed class HttpsDateTests
{
    private static readonly Uri Site = new("https://fleet.example");
    private static readonly DateTimeOffset Sent = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>One question to a server whose certificate is valid in these days from now, and which says it is this time.</summary>
    private static async Task<TimeSample?> AskAsync(DateTimeOffset? date, int fromDay, int toDay, bool trusted = true, string host = "127.0.0.1")
    {
        using var root = Root("fleet root");
        using var stranger = Root("stranger");
        using var leaf = Leaf(root, fromDay, toDay);
        await using var server = new MiniHttp(r => Task.FromResult(new MiniAnswer(r.Method == "HEAD" ? 200 : 405, "", date is { } d ? [("Date", d.ToString("R", CultureInfo.InvariantCulture))] : [])), leaf);
        var authority = (trusted ? root : stranger).ExportCertificatePem();
        // Nobody answers NTP on loopback here: the site is asked after that.
        return (await ClockAgent.AskAllAsync(["127.0.0.1"], [(new Uri($"https://{host}:{server.Port}"), authority)], null, Stop)).SingleOrDefault();
    }

    [Fact]
    public async Task S69_Where_NTP_is_blocked_the_date_of_an_https_answer_sets_the_clock()
    {
        var sample = await AskAsync(DateTimeOffset.UtcNow.AddHours(2), -1, 1);
        Assert.NotNull(sample);
        Assert.InRange(sample.Offset.TotalMinutes, 119, 121);
        Assert.IsType<ClockCorrection.Step>(SntpFilter.Judge([sample], DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddYears(-1)));
    }

    /// <summary>To a clock that is behind the certificate is from the future; that the answer's date is in its time is what counts.</summary>
    [Fact]
    public async Task S69_A_certificate_that_is_not_valid_yet_by_our_clock_is_judged_by_the_answer_s_date()
    {
        var sample = await AskAsync(DateTimeOffset.UtcNow.AddDays(15), 10, 20);
        Assert.NotNull(sample);
        Assert.InRange(sample.Offset.TotalDays, 14.9, 15.1);
    }

    [Theory]
    [InlineData(15, -1, 1, true, "127.0.0.1")] // a date after the certificate's time
    [InlineData(-15, -1, 1, true, "127.0.0.1")] // and before it
    [InlineData(0, -1, 1, false, "127.0.0.1")] // of another authority
    [InlineData(0, -1, 1, true, "localhost")] // for another name
    public async Task What_must_not_be_believed_gives_no_time(int dateDay, int fromDay, int toDay, bool trusted, string host) =>
        Assert.Null(await AskAsync(DateTimeOffset.UtcNow.AddDays(dateDay), fromDay, toDay, trusted, host));

    [Fact]
    public async Task Without_a_date_there_is_no_time() => Assert.Null(await AskAsync(null, -1, 1));

    [Fact]
    public async Task Who_does_not_answer_or_speaks_no_TLS_gives_no_time()
    {
        await using var plain = new MiniHttp(_ => Task.FromResult(new MiniAnswer(200, "")));
        Assert.Null(await HttpsDate.AskAsync(new($"https://127.0.0.1:{plain.Port}"), null, null, Stop));
        Assert.Null(await HttpsDate.AskAsync(new($"http://127.0.0.1:{plain.Port}"), null, null, Stop));
        Assert.Null(await HttpsDate.AskAsync(new("https://127.0.0.1:1"), null, null, Stop));
    }

    /// <summary>Whole seconds: what is off by less than that is right, so that the clock is not set to and fro each hour.</summary>
    [Theory]
    [InlineData(0.0, false)]
    [InlineData(0.6, false)]
    [InlineData(-0.6, false)]
    [InlineData(1.4, true)]
    [InlineData(-86400, true)]
    public void A_second_more_or_less_is_no_error(double off, bool step)
    {
        var year = (From: Sent.AddYears(-1), To: Sent.AddYears(1));
        var answered = Sent + TimeSpan.FromSeconds(off + 0.1); // by the site's clock
        var date = new DateTimeOffset(answered.Ticks - (answered.Ticks % TimeSpan.TicksPerSecond), TimeSpan.Zero);
        var sample = HttpsDate.Sample(Site, date, year, Sent, TimeSpan.FromSeconds(0.2));
        Assert.NotNull(sample);
        Assert.Equal(step, SntpFilter.Judge([sample], Sent, Sent.AddYears(-2)) is ClockCorrection.Step);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(365, true)]
    [InlineData(366, false)]
    [InlineData(-1, false)]
    public void A_date_counts_only_in_the_time_of_the_certificates(int day, bool counts) =>
        Assert.Equal(counts, HttpsDate.Sample(Site, Sent.AddDays(day), (Sent, Sent.AddDays(365)), Sent, default) is not null);
}
