using System.Net;
using OsBuild.Supervisor.Network;

namespace OsBuild.Tests.Supervisor.Network;

public sealed class RouteMessageTests
{
    // Worked out by hand from rtnetlink(7) and include/uapi/linux/rtnetlink.h; that a kernel takes them is shown by the boots.
    [Fact]
    public void An_address_is_asked_for_as_the_kernel_wants_it() => Assert.Equal(
        "30000000 1400 0505 01000000 00000000" + " 02180000 02000000" + " 08000200 0a00020f" + " 08000100 0a00020f" + " 08000400 0a0002ff",
        Hex(RouteMessage.Address(true, 2, IPAddress.Parse("10.0.2.15"), 24, IPAddress.Parse("10.0.2.255")).ToBytes(1), 4, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4));

    [Fact]
    public void A_default_route_has_no_destination() => Assert.Equal(
        "34000000 1800 0505 01000000 00000000" + " 02000000 fe100001 00000000" + " 08000500 0a000202" + " 08000400 02000000" + " 08000600 66000000",
        Hex(RouteMessage.Route(true, 2, IPAddress.Any, 0, IPAddress.Parse("10.0.2.2"), 102).ToBytes(1), 4, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4));

    [Fact]
    public void A_network_on_the_link_has_link_scope_and_no_gateway() => Assert.Equal(
        "34000000 1800 0505 09000000 00000000" + " 02100000 fe10fd01 00000000" + " 08000100 0a110000" + " 08000400 03000000" + " 08000600 67000000",
        Hex(RouteMessage.Route(true, 3, IPAddress.Parse("10.17.0.0"), 16, null, 103).ToBytes(9), 4, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4));

    [Fact]
    public void A_link_is_set_up_with_its_mtu() => Assert.Equal(
        "28000000 1000 0500 05000000 00000000" + " 00000000 02000000 01000000 01000000" + " 08000400 78050000",
        Hex(RouteMessage.LinkState(2, true, 1400).ToBytes(5), 4, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4));

    [Fact]
    public void Answers_are_matched_by_their_number()
    {
        var answer = new byte[36];
        answer[4] = 2; // NLMSG_ERROR
        answer[8] = 7;
        Assert.Equal(0, RouteMessage.Answer(answer, 7));
        Assert.Null(RouteMessage.Answer(answer, 8));
        BitConverter.TryWriteBytes(answer.AsSpan(16), -17);
        Assert.Equal(17, RouteMessage.Answer(answer, 7));
        Assert.Null(RouteMessage.Answer(answer.AsSpan(0, 19), 7));
    }

    [Fact]
    public void The_kernel_answers_a_request()
    {
        using var socket = new RouteSocket();
        if (Environment.UserName == "root") socket.SetUp(1); // lo is up already: asking again changes nothing
        else Assert.ThrowsAny<IOException>(() => socket.SetUp(1)); // refused, but answered
    }

    [Fact]
    public void Name_servers_and_domains_of_all_interfaces_make_one_file() => Assert.Equal(
        "search lan example.net\nnameserver 10.0.0.1\nnameserver 9.9.9.9\nnameserver 1.1.1.1\n",
        ResolvConf.Text(new[] { "10.0.0.1", "9.9.9.9", "10.0.0.1", "1.1.1.1", "8.8.8.8" }.Select(IPAddress.Parse), ["lan", "lan", "example.net"]));

    [Fact]
    public void Without_servers_the_file_is_empty() => Assert.Equal("", ResolvConf.Text([], []));

    [Fact]
    public void Link_local_addresses_are_the_same_each_time_and_never_reserved()
    {
        var seen = new HashSet<string>();
        for (var i = 0; i < 2000; i++)
        {
            byte[] hardware = [2, 0, 0, 0, (byte)(i >> 8), (byte)i];
            var address = LinkLocal.For(hardware);
            Assert.Equal(address, LinkLocal.For(hardware));
            Assert.NotEqual(address, LinkLocal.For(hardware, 1));
            var bytes = address.GetAddressBytes();
            Assert.True(bytes is [169, 254, > 0 and < 255, _]);
            seen.Add(address.ToString());
        }

        Assert.True(seen.Count > 1900);
    }

    private static string Hex(byte[] bytes, params int[] groups)
    {
        var at = 0;
        var texts = groups.Select(g => Convert.ToHexStringLower(bytes.AsSpan(at, Math.Min(g, bytes.Length - at)).ToArray()) is var t && (at += g) > 0 ? t : "");
        return string.Join(' ', texts);
    }
}
