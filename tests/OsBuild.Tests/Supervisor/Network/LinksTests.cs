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

    [Fact]
    public void The_machine_that_runs_this_has_a_loopback() => Assert.Contains(Links.All(), i => i.NetworkInterfaceType == NetworkInterfaceType.Loopback);
}
