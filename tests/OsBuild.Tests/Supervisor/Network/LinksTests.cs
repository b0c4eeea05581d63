using System.Net.NetworkInformation;
using OsBuild.Supervisor.Network;

namespace OsBuild.Tests.Supervisor.Network;

public sealed class LinksTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4)]
    public void An_interface_that_goes_while_all_are_read_is_asked_about_again(int failures)
    {
        var asked = 0;
        var all = Links.All(() => asked++ < failures ? throw new ArgumentException("An invalid IP address was specified.") : NetworkInterface.GetAllNetworkInterfaces());
        Assert.Equal(failures + 1, asked);
        Assert.Contains(all, i => i.NetworkInterfaceType == NetworkInterfaceType.Loopback);
    }

    [Fact]
    public void When_it_never_can_be_told_nothing_is()
    {
        var asked = 0;
        Assert.Empty(Links.All(() =>
        {
            asked++;
            throw new NetworkInformationException(5);
        }));
        Assert.Equal(5, asked);
    }

    [Theory]
    [InlineData("eth0", false)]
    [InlineData("wlan0", false)]
    [InlineData("br0", false)] // a bridge of the host's own
    [InlineData("vethab12cd3", true)]
    [InlineData("docker0", true)]
    [InlineData("br-0123456789ab", true)]
    [InlineData("balena0", true)]
    public void The_engine_s_interfaces_are_known_by_their_names(string name, bool containers) => Assert.Equal(containers, Links.IsOfContainers(name));

    [Fact]
    public void By_the_loopback_nobody_else_reaches_the_machine()
    {
        Assert.DoesNotContain(Links.Outward(), i => i.Name == "lo");
        Assert.All(Links.Outward(), i => Assert.Equal(OperationalStatus.Up, i.OperationalStatus));
    }

    [Fact]
    public void The_machine_that_runs_this_has_a_loopback() => Assert.Contains(Links.All(), i => i.NetworkInterfaceType == NetworkInterfaceType.Loopback);
}
