using System.Net;
using OsBuild.Supervisor.Network;

namespace OsBuild.Tests.Supervisor.Network;

public sealed class DhcpMessageTests
{
    [Fact]
    public void A_message_survives_the_wire()
    {
        var sent = Given.Ack(new Dictionary<byte, byte[]> { [DhcpOption.Domain] = "example.net"u8.ToArray() }) with { Seconds = 7, Broadcast = true };
        var got = DhcpMessage.Parse(sent.ToBytes())!;
        Assert.Equal(sent.Transaction, got.Transaction);
        Assert.Equal((ushort)7, got.Seconds);
        Assert.True(got is { Broadcast: true, FromServer: true, Type: DhcpType.Ack });
        Assert.Equal(sent.YourAddress, got.YourAddress);
        Assert.Equal("example.net", got.Text(DhcpOption.Domain));
        Assert.True(got.Hardware.Span.SequenceEqual(Given.Hardware));
    }

    [Fact]
    public void The_type_comes_first_and_short_messages_are_padded()
    {
        var bytes = Given.Ack().ToBytes();
        Assert.True(bytes.Length >= 300);
        Assert.Equal([99, 130, 83, 99, DhcpOption.MessageType, 1, (byte)DhcpType.Ack], bytes[236..243]);
    }

    [Fact]
    public void An_option_longer_than_255_is_split_and_joined_again()
    {
        var routes = Enumerable.Range(0, 600).Select(i => (byte)i).ToArray();
        var got = DhcpMessage.Parse(Given.Ack(new Dictionary<byte, byte[]> { [DhcpOption.ClasslessRoutes] = routes }).ToBytes())!;
        Assert.Equal(routes, got.Options[DhcpOption.ClasslessRoutes]);
    }

    [Fact]
    public void Options_go_on_in_the_file_and_name_fields_when_told_so()
    {
        var bytes = Given.Ack(new Dictionary<byte, byte[]> { [DhcpOption.Overload] = [3] }).ToBytes();
        byte[] inFile = [DhcpOption.Router, 4, 10, 0, 0, 1, 255], inName = [DhcpOption.Domain, 3, (byte)'l', (byte)'a', (byte)'n', 255];
        inFile.CopyTo(bytes, 0x6c);
        inName.CopyTo(bytes, 0x2c);
        var got = DhcpMessage.Parse(bytes)!;
        Assert.Equal(IPAddress.Parse("10.0.0.1"), got.Address(DhcpOption.Router));
        Assert.Equal("lan", got.Text(DhcpOption.Domain));
    }

    [Fact]
    public void Every_cut_of_a_good_message_is_either_read_or_refused_but_never_throws()
    {
        var bytes = Given.Ack().ToBytes();
        for (var length = 0; length < 240; length++) Assert.Null(DhcpMessage.Parse(bytes.AsSpan(0, length)));
        for (var length = 240; length < bytes.Length; length++) DhcpMessage.Parse(bytes.AsSpan(0, length));
    }

    [Fact]
    public void Any_noise_after_the_header_is_read_or_refused_but_never_throws()
    {
        var random = new Random(20261123);
        var bytes = Given.Ack().ToBytes();
        var read = 0;
        for (var i = 0; i < 20_000; i++)
        {
            random.NextBytes(bytes.AsSpan(240));
            bytes[240] = DhcpOption.MessageType; // so that some of it gets further
            bytes[241] = 1;
            if (DhcpMessage.Parse(bytes) is not { } message) continue;
            read++;
            DhcpLease.From(message);
        }

        Assert.True(read > 0);
    }

    [Theory]
    [InlineData(0, 3)] // neither request nor reply
    [InlineData(1, 6)] // not Ethernet
    [InlineData(2, 16)] // a hardware address of another length
    [InlineData(236, 0)] // BOOTP without the cookie
    public void Other_protocols_are_refused(int at, byte value)
    {
        var bytes = Given.Ack().ToBytes();
        bytes[at] = value;
        Assert.Null(DhcpMessage.Parse(bytes));
    }

    [Theory]
    [InlineData("host\0", "host")]
    [InlineData("", null)]
    [InlineData("two words", null)]
    [InlineData("evil\nnameserver 6.6.6.6", null)] // would land in resolv.conf
    public void Text_that_could_do_harm_in_a_file_is_not_taken(string text, string? taken) =>
        Assert.Equal(taken, Given.Ack(new Dictionary<byte, byte[]> { [DhcpOption.Domain] = System.Text.Encoding.Latin1.GetBytes(text) }).Text(DhcpOption.Domain));
}

public sealed class DhcpLeaseTests
{
    [Fact]
    public void Takes_everything_a_server_offers()
    {
        var lease = Given.Lease(new Dictionary<byte, byte[]>
        {
            [DhcpOption.Dns] = [10, 0, 0, 1, 10, 0, 0, 2],
            [DhcpOption.Ntp] = [10, 0, 0, 3],
            [DhcpOption.Mtu] = [0x05, 0x78],
            [DhcpOption.Domain] = "lan"u8.ToArray(),
        })!;
        Assert.Equal("10.0.0.20/24", $"{lease.Address}/{lease.PrefixLength}");
        Assert.Equal("10.0.0.255", lease.BroadcastAddress.ToString());
        Assert.Equal(["10.0.0.1", "10.0.0.2"], lease.Dns.Select(d => d.ToString()));
        Assert.Equal(["10.0.0.3"], lease.Ntp.Select(d => d.ToString()));
        Assert.Equal((1400, "lan"), (lease.Mtu, lease.Domain));
        Assert.Equal(["0.0.0.0/0 via 10.0.0.1"], lease.Routes.Select(r => r.ToString()));
        Assert.Equal((1800, 3150, 3600), (lease.Renew.TotalSeconds, lease.Rebind.TotalSeconds, lease.Duration.TotalSeconds));
    }

    [Fact]
    public void Classless_routes_replace_the_router()
    {
        // RFC 3442: 10.17.0.0/16 on the link, 10.27.129.0/24 via 10.0.0.9, default via 10.0.0.8
        var lease = Given.Lease(new Dictionary<byte, byte[]>
        {
            [DhcpOption.ClasslessRoutes] = [16, 10, 17, 0, 0, 0, 0, 24, 10, 27, 129, 10, 0, 0, 9, 0, 10, 0, 0, 8],
        })!;
        Assert.Equal(["10.17.0.0/16", "10.27.129.0/24 via 10.0.0.9", "0.0.0.0/0 via 10.0.0.8"], lease.Routes.Select(r => r.ToString()));
    }

    [Theory]
    [InlineData(new byte[] { 33, 10, 0, 0, 0, 10, 0, 0, 1 })] // no such prefix
    [InlineData(new byte[] { 24, 10, 27, 129, 10, 0, 0 })] // cut
    [InlineData(new byte[] { 0 })]
    public void Malformed_classless_routes_fall_back_to_the_router(byte[] routes) =>
        Assert.Equal(["0.0.0.0/0 via 10.0.0.1"], Given.Lease(new Dictionary<byte, byte[]> { [DhcpOption.ClasslessRoutes] = routes })!.Routes.Select(r => r.ToString()));

    [Theory]
    [InlineData(new byte[] { 255, 255, 255, 0 }, 24)]
    [InlineData(new byte[] { 255, 255, 255, 255 }, 32)]
    [InlineData(new byte[] { 128, 0, 0, 0 }, 1)]
    [InlineData(new byte[] { 255, 0, 255, 0 }, null)]
    [InlineData(new byte[] { 0, 0, 0, 255 }, null)]
    public void A_mask_with_holes_is_no_mask(byte[] mask, int? prefix) => Assert.Equal(prefix, DhcpLease.PrefixOf(new IPAddress(mask)));

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("127.0.0.1")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    public void Addresses_no_host_can_have_are_refused(string address) => Assert.Null(DhcpLease.From(Given.Ack() with { YourAddress = IPAddress.Parse(address) }));

    [Fact]
    public void Without_a_mask_the_old_classes_hold()
    {
        var options = Given.Ack().Options.Where(o => o.Key != DhcpOption.Mask).ToDictionary();
        Assert.Equal(8, DhcpLease.From(Given.Ack() with { Options = options })!.PrefixLength);
    }

    [Theory]
    [InlineData(DhcpOption.ServerId)]
    public void Without_a_server_there_is_no_lease(byte missing) =>
        Assert.Null(DhcpLease.From(Given.Ack() with { Options = Given.Ack().Options.Where(o => o.Key != missing).ToDictionary() }));

    [Theory]
    [InlineData(3600u, 5000u, 6000u, 1800, 3150)] // T1 and T2 past the end
    [InlineData(3600u, 3000u, 2000u, 1800, 3150)] // in the wrong order
    [InlineData(3600u, 600u, 1200u, 600, 1200)]
    public void Times_that_make_no_sense_are_replaced(uint duration, uint t1, uint t2, int renew, int rebind)
    {
        var lease = Given.Lease(new Dictionary<byte, byte[]> { [DhcpOption.LeaseTime] = Given.Number(duration), [DhcpOption.Renewal] = Given.Number(t1), [DhcpOption.Rebinding] = Given.Number(t2) })!;
        Assert.Equal((renew, rebind), (lease.Renew.TotalSeconds, lease.Rebind.TotalSeconds));
    }

    [Fact]
    public void A_lease_of_no_time_is_refused_and_one_for_ever_is_long() =>
        Assert.Multiple(
            () => Assert.Null(Given.Lease(new Dictionary<byte, byte[]> { [DhcpOption.LeaseTime] = Given.Number(1) })),
            () => Assert.True(Given.Lease(new Dictionary<byte, byte[]> { [DhcpOption.LeaseTime] = Given.Number(uint.MaxValue) })!.Duration.TotalDays > 3000));
}
