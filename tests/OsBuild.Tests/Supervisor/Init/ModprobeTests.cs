using OsBuild.Supervisor.Init;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class ModprobeTests
{
    [Fact]
    public void The_kernel_s_own_call_is_recognised_by_its_name() => Assert.Equal(["net-pf-16"], Modprobe.Names("/run/osbuild/bin/modprobe", ["-q", "--", "net-pf-16"]));

    [Fact]
    public void And_by_its_arguments_when_the_name_is_not_kept() => Assert.Equal(["xt_tcpudp"], Modprobe.Names("/usr/lib/osbuild/supervisor", ["-q", "--", "xt_tcpudp"]));

    [Fact]
    public void Engines_name_several() => Assert.Equal(["bridge", "br_netfilter"], Modprobe.Names("modprobe", ["-va", "bridge", "br_netfilter"]));

    [Fact]
    public void As_a_command_of_the_supervisor() => Assert.Equal(["overlay"], Modprobe.Names("supervisor", ["modprobe", "overlay"]));

    [Fact]
    public void Removing_modules_is_nothing_we_do() => Assert.Equal([], Modprobe.Names("modprobe", ["-r", "overlay"]));

    [Theory]
    [InlineData("worker")]
    [InlineData("status")]
    [InlineData("-q")]
    public void Everything_else_is_not_modprobe(string argument) => Assert.Null(Modprobe.Names("/usr/bin/supervisor", [argument]));
}
