using OsBuild.Supervisor.Identity;

namespace OsBuild.Tests.Supervisor.Identity;

public sealed class IdentityTests : IDisposable
{
    private readonly string _state = Directory.CreateTempSubdirectory("osbuild-identity-").FullName;

    public void Dispose() => Directory.Delete(_state, recursive: true);

    [Fact]
    public void The_kernels_random_bytes_are_as_many_as_wanted_and_never_the_same()
    {
        Assert.Empty(KernelRandom.Bytes(0));
        Assert.Equal(5000, KernelRandom.Bytes(5000).Length);
        Assert.NotEqual(KernelRandom.Bytes(16), KernelRandom.Bytes(16));
    }

    [Fact]
    public void An_identity_is_made_once_and_kept()
    {
        var first = DeviceIdentity.LoadOrMake(_state, null);
        Assert.True(DeviceIdentity.IsMachineId(first.MachineId));
        Assert.Equal("osbuild-" + first.MachineId[..6], first.HostName);
        Assert.Equal(first, DeviceIdentity.LoadOrMake(_state, null));
    }

    [Theory]
    [InlineData("")]
    [InlineData("uninitialized\n")]
    [InlineData("00000000000000000000000000000000\n")]
    [InlineData("0123456789abcdef0123456789ABCDEF\n")]
    [InlineData("0123456789abcdef")]
    public void A_damaged_id_is_made_anew_and_then_kept(string damaged)
    {
        File.WriteAllText(Path.Combine(_state, "machine-id"), damaged);
        var made = DeviceIdentity.LoadOrMake(_state, null);
        Assert.True(DeviceIdentity.IsMachineId(made.MachineId));
        Assert.Equal(made, DeviceIdentity.LoadOrMake(_state, null));
    }

    [Fact]
    public void A_write_cut_in_the_middle_leaves_the_old_file()
    {
        var made = DeviceIdentity.LoadOrMake(_state, null);
        File.WriteAllText(Path.Combine(_state, "machine-id.new"), "half"); // what a power cut leaves
        Assert.Equal(made, DeviceIdentity.LoadOrMake(_state, null));
    }

    [Fact]
    public void Ids_are_version_4_uuids()
    {
        var id = DeviceIdentity.NewMachineId(Enumerable.Repeat((byte)0xff, 16).ToArray());
        Assert.Equal("ffffffffffff4fffbfffffffffffffff", id);
    }

    [Theory]
    [InlineData("kitchen", true)]
    [InlineData("a.example.net", true)]
    [InlineData("", false)]
    [InlineData("-a", false)]
    [InlineData("a-", false)]
    [InlineData("a b", false)]
    [InlineData("ä", false)]
    [InlineData("a..b", false)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    public void Host_names_follow_the_rules(string name, bool good)
    {
        Assert.Equal(good, DeviceIdentity.IsHostName(name));
        Assert.Equal(good ? name : "osbuild-012345", DeviceIdentity.For("0123456789abcdef0123456789abcdef", name).HostName);
    }

    [Fact]
    public void The_host_s_own_name_resolves() => Assert.Contains("127.0.1.1\tkitchen\n", DeviceIdentity.Hosts("kitchen"), StringComparison.Ordinal);
}

public sealed class HostConfigTests
{
    private readonly List<string> _said = [];

    private HostConfig Parse(string yaml) => HostConfig.Parse(yaml, _said.Add);

    [Fact]
    public void Reads_where_supervisor_and_host_come_from()
    {
        var config = Parse("supervisor: registry.example.com/supervisor:2\nhost: registry.example.com/kitchen-host:7\nhost-not-before: 2026-11-01\n");
        Assert.Equal(("registry.example.com/supervisor:2", "registry.example.com/kitchen-host:7", 1793491200), (config.Supervisor, config.Host, config.HostNotBefore));
        Assert.Empty(_said);
        config = Parse("host: 'a b'\nhost-not-before: soon\n");
        Assert.Equal((null, 0), (config.Host, config.HostNotBefore));
        Assert.Equal(["config.yaml line 1: host must name an image; going on with the host that runs", "config.yaml line 2: host-not-before must be a day such as 2026-11-01; going on without it"], _said);
    }

    [Fact]
    public void Reads_name_network_and_time_servers()
    {
        var config = Parse("""
            # my kitchen
            hostname: kitchen
            network:
              eth0: { address: 192.168.1.20/24, gateway: 192.168.1.1, dns: [192.168.1.1, 9.9.9.9] }
              eth1: dhcp
              eth2: off
              wlan0:
                dns: 1.1.1.1
            ntp: [a.example.net, b.example.net]
            something_of_the_apps: { x: 1 }
            """);
        Assert.Empty(_said);
        Assert.Equal("kitchen", config.HostName);
        Assert.Equal(["a.example.net", "b.example.net"], config.TimeServers);
        var fix = config.For("eth0");
        Assert.Equal(("192.168.1.20/24", "192.168.1.1", 2), (fix.Address.ToString(), fix.Gateway!.ToString(), fix.Dns.Count));
        Assert.True(config.For("eth1") is { Address: null, Off: false });
        Assert.True(config.For("eth2").Off);
        Assert.Equal("1.1.1.1", config.For("wlan0").Dns.Single().ToString());
        Assert.True(config.For("eth9") is { Address: null, Off: false }); // DHCP when nothing is said
    }

    [Fact]
    public void A_star_stands_for_every_other_interface() => Assert.True(Parse("network: { '*': off, eth0: dhcp }") is var c && c.For("eth5").Off && !c.For("eth0").Off);

    [Theory]
    [InlineData("")]
    [InlineData("# nothing\n")]
    [InlineData("{}")]
    public void An_empty_file_is_fine(string yaml)
    {
        Assert.Empty(Parse(yaml).Interfaces);
        Assert.Empty(_said);
    }

    [Theory]
    [InlineData("hostname: [a]", "line 1")]
    [InlineData("hostname: two words", "line 1")]
    [InlineData("x: 1\nnetwork:\n  eth0: { address: 192.168.1.20 }", "line 3")]
    [InlineData("network: { eth0: { address: 192.168.1.20/33 } }", "network.eth0")]
    [InlineData("network: { eth0: { address: 192.168.1.20/24, gateway: nobody } }", "network.eth0")]
    [InlineData("network: { eth0: { address: 10.0.0.1/8, dns: [x] } }", "network.eth0")]
    [InlineData("network: { eth0: static }", "network.eth0")]
    [InlineData("- a\n- b", "not a list of keys")]
    [InlineData("a: [", "ignoring the file")]
    [InlineData("a: b: c", "line 1")]
    public void A_mistake_is_said_with_its_place_and_the_device_comes_up(string yaml, string said)
    {
        var config = Parse(yaml);
        Assert.Contains(said, Assert.Single(_said), StringComparison.Ordinal);
        Assert.True(config.For("eth0") is { Address: null, Off: false });
    }

    [Fact]
    public void A_missing_file_is_no_mistake()
    {
        Assert.Equal(HostConfig.Empty, HostConfig.Read("/nowhere/config.yaml", _said.Add));
        Assert.Empty(_said);
    }
}
