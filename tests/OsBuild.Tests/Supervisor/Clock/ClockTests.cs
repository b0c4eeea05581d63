using System.Net;
using System.Net.Sockets;
using OsBuild.Supervisor.Clock;

namespace OsBuild.Tests.Supervisor.Clock;

public sealed class ClockTests
{
    private static readonly DateTimeOffset Built = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset Now = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);
    private const ulong Nonce = 0x1234_5678_9abc_def1;

    [Fact]
    public void Never_before_the_program_was_built() => Assert.Equal(Built, ClockStart.Best(DateTimeOffset.UnixEpoch, null, Built));

    [Fact]
    public void Never_before_the_last_time_seen() => Assert.Equal(Built.AddDays(90), ClockStart.Best(DateTimeOffset.UnixEpoch, Built.AddDays(90), Built));

    [Fact]
    public void A_good_battery_clock_is_left_alone() => Assert.Equal(Now, ClockStart.Best(Now, Built, Built));

    [Fact]
    public void A_saved_time_of_long_ago_does_not_pull_it_back() => Assert.Equal(Built, ClockStart.Best(DateTimeOffset.UnixEpoch, Built.AddYears(-3), Built));

    [Fact]
    public void A_saved_time_far_in_the_future_is_not_believed() => Assert.Equal(Built, ClockStart.Best(DateTimeOffset.UnixEpoch, Built.AddYears(80), Built));

    [Theory]
    [InlineData(0, 0, 12, 23, 10, 126, true)]
    [InlineData(60, 0, 12, 23, 10, 126, false)]
    [InlineData(0, 0, 12, 31, 1, 126, false)] // 31 February
    [InlineData(0, 0, 0, 1, 0, 0, false)] // 1900: no battery
    [InlineData(0, 0, 12, 0, 10, 126, false)]
    [InlineData(0, 0, 12, 23, 12, 126, false)]
    public void A_battery_clock_that_shows_no_date_is_not_read(int second, int minute, int hour, int day, int month, int year, bool good) =>
        Assert.Equal(good ? Now : null, Rtc.FromFields([second, minute, hour, day, month, year, 0, 0, 0]));

    [Fact]
    public void Times_survive_the_wire_to_a_microsecond_and_over_the_end_of_the_era()
    {
        foreach (var time in new[] { Now, Now.AddTicks(1234567), new DateTimeOffset(2036, 2, 7, 6, 28, 16, TimeSpan.Zero), new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero) })
            Assert.InRange((SntpPacket.ToTime(SntpPacket.FromTime(time)) - time).Duration().TotalMicroseconds, 0, 1);
    }

    [Fact]
    public void The_first_second_of_1900_reads_as_2036() => Assert.Equal(new DateTimeOffset(2036, 2, 7, 6, 28, 16, TimeSpan.Zero), SntpPacket.ToTime(0));

    [Fact]
    public void An_answer_gives_the_offset_with_half_of_the_way_taken_off()
    {
        var sample = SntpFilter.Sample("s", Answer(Now.AddSeconds(5)), Nonce, Now, TimeSpan.FromSeconds(1))!;
        Assert.Equal(4.5, sample.Offset.TotalSeconds, 3);
    }

    public static TheoryData<string, byte, byte, ulong, double> Lies => new()
    {
        { "another question's answer", 0b00_100_100, 2, Nonce + 1, 0.1 },
        { "not synchronised", 0b11_100_100, 2, Nonce, 0.1 },
        { "kiss of death", 0b00_100_100, 0, Nonce, 0.1 },
        { "stratum 16", 0b00_100_100, 16, Nonce, 0.1 },
        { "a question, not an answer", 0b00_100_011, 2, Nonce, 0.1 },
        { "version 1", 0b00_001_100, 2, Nonce, 0.1 },
        { "too late", 0b00_100_100, 2, Nonce, 3 },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public void What_must_not_be_believed(string why, byte header, byte stratum, ulong nonce, double delay) =>
        Assert.True(SntpFilter.Sample("s", Answer(Now) with { Header = header, Stratum = stratum, Originate = nonce }, Nonce, Now, TimeSpan.FromSeconds(delay)) is null, why);

    [Fact]
    public void Small_errors_are_left_and_large_ones_are_set()
    {
        Assert.IsType<ClockCorrection.Keep>(SntpFilter.Judge([Offset(0.1)], Now, Built));
        Assert.Equal(new ClockCorrection.Step(TimeSpan.FromSeconds(40)), SntpFilter.Judge([Offset(40)], Now, Built));
    }

    [Fact]
    public void One_liar_among_three_is_outvoted() =>
        Assert.Equal(new ClockCorrection.Step(TimeSpan.FromSeconds(40)), SntpFilter.Judge([Offset(40, 0.02), Offset(86400, 0.001), Offset(40.3, 0.05)], Now, Built));

    [Fact]
    public void Two_that_disagree_are_not_believed() => Assert.IsType<ClockCorrection.Wait>(SntpFilter.Judge([Offset(40), Offset(86400)], Now, Built));

    [Fact]
    public void A_time_before_the_build_is_never_taken() => Assert.IsType<ClockCorrection.Wait>(SntpFilter.Judge([Offset(-86400 * 365)], Now, Built));

    [Fact]
    public void From_1970_the_step_is_taken_at_once() =>
        Assert.IsType<ClockCorrection.Step>(SntpFilter.Judge([new TimeSample("s", Now - DateTimeOffset.UnixEpoch, TimeSpan.FromMilliseconds(9))], DateTimeOffset.UnixEpoch, Built));

    [Fact]
    public void Without_answers_it_asks_less_and_less_often()
    {
        double[] waits = [.. Enumerable.Range(0, 12).Select(i => SntpFilter.Next(new ClockCorrection.Wait(""), i).TotalSeconds)];
        Assert.Equal([4, 8, 16, 32], waits[..4]);
        Assert.Equal(900, waits[^1]);
        Assert.Equal(3600, SntpFilter.Next(new ClockCorrection.Keep(default), 0).TotalSeconds);
    }

    /// <summary>A real server on loopback.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Asks_a_server_over_the_network(bool noiseFirst)
    {
        using var server = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        var serve = Task.Run(async () =>
        {
            var question = await server.ReceiveAsync();
            var asked = SntpPacket.Read(question.Buffer);
            Assert.Equal((3, 4), (asked.Mode, asked.Version));
            var bytes = new byte[SntpPacket.Size];
            if (noiseFirst) await server.SendAsync(new byte[7], question.RemoteEndPoint);
            (Answer(DateTimeOffset.UtcNow.AddHours(2)) with { Originate = asked.Transmit }).Write(bytes);
            await server.SendAsync(bytes, question.RemoteEndPoint);
        });
        var sample = await ClockAgent.AskAsync("127.0.0.1", ((IPEndPoint)server.Client.LocalEndPoint!).Port, CancellationToken.None);
        await serve;
        Assert.NotNull(sample);
        Assert.InRange(sample.Offset.TotalSeconds, 7195, 7205);
    }

    private static SntpPacket Answer(DateTimeOffset time) => new() { Header = 0b00_100_100, Stratum = 2, Originate = Nonce, Transmit = SntpPacket.FromTime(time) };

    private static TimeSample Offset(double seconds, double delay = 0.01) => new("s", TimeSpan.FromSeconds(seconds), TimeSpan.FromSeconds(delay));
}
