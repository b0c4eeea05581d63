using OsBuild.Supervisor.Linux;

namespace OsBuild.Tests.Supervisor.Linux;

public sealed class ModuleIndexTests
{
    // Lines as depmod of kmod 30 writes them.
    private const string Dep =
        """
        kernel/net/bridge/br_netfilter.ko: kernel/net/bridge/bridge.ko kernel/net/802/stp.ko kernel/net/llc/llc.ko
        kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko
        kernel/net/802/stp.ko: kernel/net/llc/llc.ko
        kernel/net/llc/llc.ko:
        kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz
        kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz
        kernel/net/core/failover.ko.xz:
        kernel/fs/ext4/ext4.ko:
        kernel/arch/x86/crypto/crc32c-intel.ko:
        kernel/drivers/watchdog/i6300esb.ko:
        kernel/net/netfilter/xt_tcpudp.ko:

        """;

    private const string Alias =
        """
        # Aliases extracted from modules themselves.
        alias fs-ext4 ext4
        alias virtio:d00000001v* virtio_net
        alias pci:v00008086d000025ABsv*sd*bc*sc*i* i6300esb
        alias cpu:type:x86,ven*fam*mod*:feature:*0094* crc32c_intel
        alias ip6t_tcp xt_tcpudp
        alias ipt_tcp xt_tcpudp
        alias of:N*T*Cvendor,fan[0-3] ext4
        a line that is no alias

        """;

    private const string SoftDep = "softdep ext4 pre: crc32c-intel post: llc\nsoftdep nothing post: x\n";

    private static readonly ModuleIndex Index = new(Dep, Alias, "kernel/fs/overlayfs/overlay.ko\nkernel/net/unix/unix.ko\n", SoftDep);

    [Fact]
    public void Loads_what_a_module_needs_before_it() =>
        Assert.Equal(["kernel/net/llc/llc.ko", "kernel/net/802/stp.ko", "kernel/net/bridge/bridge.ko", "kernel/net/bridge/br_netfilter.ko"], Index.LoadOrder("br_netfilter"));

    [Fact]
    public void Soft_dependencies_come_first() => Assert.Equal(["kernel/arch/x86/crypto/crc32c-intel.ko", "kernel/fs/ext4/ext4.ko"], Index.LoadOrder("ext4"));

    [Theory]
    [InlineData("br-netfilter", "br_netfilter")] // hyphens and underscores are the same
    [InlineData("crc32c_intel", "crc32c_intel")]
    [InlineData("fs-ext4", "ext4")]
    [InlineData("ipt_tcp", "xt_tcpudp")]
    [InlineData("virtio:d00000001v00001AF4", "virtio_net")]
    [InlineData("pci:v00008086d000025ABsv00001AF4sd00001100bc08sc80i00", "i6300esb")]
    [InlineData("cpu:type:x86,ven0002fam000Fmod006B:feature:,0000,0094,0095", "crc32c_intel")]
    [InlineData("of:NfanTCvendor,fan2", "ext4")]
    public void Finds_modules_by_name_and_alias(string nameOrAlias, string module) => Assert.Equal([module], Index.Resolve(nameOrAlias));

    [Theory]
    [InlineData("pci:v00008086d000025ACsv00001AF4sd00001100bc08sc80i00")]
    [InlineData("of:NfanTCvendor,fan7")]
    [InlineData("virtio:d00000002v00001AF4")]
    [InlineData("overlay")] // built in: known, nothing to load
    [InlineData("nonsense")]
    [InlineData("")]
    public void Gives_nothing_for_what_has_no_module(string nameOrAlias) => Assert.Empty(Index.Resolve(nameOrAlias));

    [Theory]
    [InlineData("overlay", true)]
    [InlineData("llc", true)]
    [InlineData("nonsense", false)]
    public void Knows_built_in_ones(string module, bool known) => Assert.Equal(known, Index.Knows(module));

    [Fact]
    public void Unknown_modules_have_no_load_order() => Assert.Empty(Index.LoadOrder("nonsense"));

    [Fact]
    public void A_circle_of_soft_dependencies_ends()
    {
        var circle = new ModuleIndex("a.ko:\nb.ko:\n", "", "", "softdep a pre: b\nsoftdep b pre: a\n");
        Assert.Equal(["b.ko", "a.ko"], circle.LoadOrder("a"));
    }

    [Theory]
    [InlineData("kernel/net/llc/llc.ko", "llc")]
    [InlineData("kernel/a/crc32c-intel.ko.zst", "crc32c_intel")]
    [InlineData("name", "name")]
    public void Names_come_from_paths(string path, string name) => Assert.Equal(name, ModuleIndex.NameOf(path));

    [Theory]
    [InlineData("*", "", true)]
    [InlineData("a*c", "abc", true)]
    [InlineData("a*c", "abcd", false)]
    [InlineData("a*b*c", "aXbXbXc", true)]
    [InlineData("a?c", "abc", true)]
    [InlineData("a?c", "ac", false)]
    [InlineData("[0-9]x", "5x", true)]
    [InlineData("[0-9]x", "ax", false)]
    [InlineData("[ab]", "b", true)]
    [InlineData("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)] // must not take for ever
    [InlineData("[", "[", true)]
    [InlineData("", "a", false)]
    public void Patterns_match_as_depmod_means_them(string pattern, string text, bool matches) => Assert.Equal(matches, Glob.Matches(pattern, text));
}
