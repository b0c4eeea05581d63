using System.Text.Json;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>Every key of a service that compose-spec knows: what it becomes, or the sentence it is refused with. The page beside the reader lists
/// the same keys, no more and no less.</summary>
public sealed class ComposeKeys
{
    /// <summary>Key, an example of its value, and what must then stand in the service (as JSON).</summary>
    private static readonly (string Key, string Value, string Becomes)[] Taken =
    [
        ("image", "web:2", "\"image\":\"web:2\""),
        ("command", "sh -c 'echo a'", "\"command\":[\"sh\",\"-c\",\"echo a\"]"),
        ("entrypoint", "[/init, -x]", "\"entrypoint\":[\"/init\",\"-x\"]"),
        ("environment", "{ A: \"1\", B: two }", "\"environment\":{\"A\":\"1\",\"B\":\"two\"}"),
        ("env_file", "more.env", "\"environment\":{\"FROM\":\"file\"}"),
        ("labels", "[a=b]", "\"labels\":{\"a\":\"b\"}"),
        ("label_file", "more.env", "\"labels\":{\"FROM\":\"file\"}"),
        ("annotations", "{ a: b }", "\"annotations\":{\"a\":\"b\"}"),
        ("restart", "on-failure:3", "\"restart\":\"OnFailure\",\"restartLimit\":3"),
        ("depends_on", "{ db: { condition: service_completed_successfully, required: false, restart: true } }", "\"dependsOn\":[{\"service\":\"db\",\"condition\":\"CompletedSuccessfully\",\"required\":false,\"restart\":true}]"),
        ("ports", "[\"8080:80\"]", "\"ports\":[{\"containerPort\":80,\"hostPort\":8080,\"protocol\":\"tcp\"}]"),
        ("expose", "[\"9000\"]", "\"expose\":[\"9000\"]"),
        ("volumes", "[\"data:/d:ro\", \"/srv:/s\", { type: tmpfs, target: /t, tmpfs: { size: 1m } }]", "\"mounts\":[{\"kind\":\"Volume\",\"source\":\"data\",\"target\":\"/d\",\"readOnly\":true},{\"kind\":\"Bind\",\"source\":\"/srv\",\"target\":\"/s\"},{\"kind\":\"Tmpfs\",\"target\":\"/t\",\"tmpfsSize\":1048576}]"),
        ("tmpfs", "\"/run:size=1m\"", "\"tmpfsOptions\":\"size=1m\""),
        ("networks", "{ front: { aliases: [w], ipv4_address: 10.9.0.5, ipv6_address: \"fd00::5\", priority: 7, mac_address: \"02:00:00:00:00:01\" } }", "\"networks\":[{\"network\":\"front\",\"aliases\":[\"w\"],\"ipv4\":\"10.9.0.5\",\"ipv6\":\"fd00::5\",\"macAddress\":\"02:00:00:00:00:01\",\"priority\":7}]"),
        ("network_mode", "host", "\"networkMode\":\"host\""),
        ("mac_address", "\"02:00:00:00:00:02\"", "\"macAddress\":\"02:00:00:00:00:02\""),
        ("hostname", "h", "\"hostname\":\"h\""),
        ("domainname", "lan", "\"domainName\":\"lan\""),
        ("extra_hosts", "[\"db:10.0.0.1\"]", "\"extraHosts\":[\"db:10.0.0.1\"]"),
        ("dns", "[1.1.1.1]", "\"dns\":[\"1.1.1.1\"]"),
        ("dns_opt", "[ndots:1]", "\"dnsOptions\":[\"ndots:1\"]"),
        ("dns_search", "lan", "\"dnsSearch\":[\"lan\"]"),
        ("devices", "[\"/dev/a:/dev/b:r\"]", "\"devices\":[{\"host\":\"/dev/a\",\"container\":\"/dev/b\",\"permissions\":\"r\"}]"),
        ("device_cgroup_rules", "[\"c 1:3 mr\"]", "\"deviceCgroupRules\":[\"c 1:3 mr\"]"),
        ("gpus", "all", "\"gpus\":[{\"count\":-1,\"capabilities\":[\"gpu\"]}]"),
        ("cap_add", "[SYS_RAWIO]", "\"capAdd\":[\"SYS_RAWIO\"]"),
        ("cap_drop", "[ALL]", "\"capDrop\":[\"ALL\"]"),
        ("privileged", "true", "\"privileged\":true"),
        ("security_opt", "[\"no-new-privileges:true\"]", "\"securityOpt\":[\"no-new-privileges:true\"]"),
        ("group_add", "[20]", "\"groupAdd\":[\"20\"]"),
        ("user", "\"1000:1000\"", "\"user\":\"1000:1000\""),
        ("working_dir", "/srv", "\"workingDir\":\"/srv\""),
        ("init", "true", "\"init\":true"),
        ("ipc", "shareable", "\"ipc\":\"shareable\""),
        ("pid", "host", "\"pid\":\"host\""),
        ("uts", "host", "\"uts\":\"host\""),
        ("cgroup", "private", "\"cgroupNamespace\":\"private\""),
        ("cgroup_parent", "/apps", "\"cgroupParent\":\"/apps\""),
        ("read_only", "true", "\"readOnly\":true"),
        ("shm_size", "64m", "\"shmSize\":67108864"),
        ("stop_grace_period", "1m30s", "\"stopGrace\":\"00:01:30\""),
        ("stop_signal", "SIGINT", "\"stopSignal\":\"SIGINT\""),
        ("sysctls", "{ net.core.somaxconn: 1024 }", "\"sysctls\":{\"net.core.somaxconn\":\"1024\"}"),
        ("ulimits", "{ nproc: 9, nofile: { soft: 1, hard: 2 } }", "\"ulimits\":{\"nofile\":{\"soft\":1,\"hard\":2},\"nproc\":{\"soft\":9,\"hard\":9}}"),
        ("healthcheck", "{ test: [CMD, \"true\"], interval: 5s, timeout: 2s, retries: 4, start_period: 9s, start_interval: 1s }", "\"healthcheck\":{\"test\":[\"CMD\",\"true\"],\"interval\":\"00:00:05\",\"timeout\":\"00:00:02\",\"startPeriod\":\"00:00:09\",\"startInterval\":\"00:00:01\",\"retries\":4}"),
        ("tty", "true", "\"tty\":true"),
        ("stdin_open", "true", "\"stdinOpen\":true"),
        ("mem_limit", "96m", "\"memory\":100663296"),
        ("mem_reservation", "64m", "\"memoryReservation\":67108864"),
        ("mem_swappiness", "10", "\"memorySwappiness\":10"),
        ("memswap_limit", "-1", "\"memorySwap\":-1"),
        ("cpus", "0.5", "\"nanoCpus\":500000000"),
        ("cpu_shares", "512", "\"cpuShares\":512"),
        ("cpu_period", "100ms", "\"cpuPeriod\":100000"),
        ("cpu_quota", "50000", "\"cpuQuota\":50000"),
        ("cpu_rt_period", "1400us", "\"cpuRealtimePeriod\":1400"),
        ("cpu_rt_runtime", "400ms", "\"cpuRealtimeRuntime\":400000"),
        ("cpuset", "\"0,1\"", "\"cpuset\":\"0,1\""),
        ("pids_limit", "100", "\"pidsLimit\":100"),
        ("oom_kill_disable", "true", "\"oomKillDisable\":true"),
        ("oom_score_adj", "500", "\"oomScoreAdj\":500"),
        ("blkio_config", "{ weight: 300, device_read_bps: [{ path: /dev/sda, rate: 1mb }] }", "\"blkio\":{\"weight\":300,\"readBps\":[{\"path\":\"/dev/sda\",\"rate\":1048576}]}"),
        ("storage_opt", "{ size: 1G }", "\"storageOpt\":{\"size\":\"1G\"}"),
        ("userns_mode", "host", "\"usernsMode\":\"host\""),
        ("runtime", "runc", "\"runtime\":\"runc\""),
        ("logging", "{ driver: local, options: { max-size: 1m } }", "\"logDriver\":\"local\",\"logOptions\":{\"max-size\":\"1m\"}"),
        ("post_start", "[{ command: [touch, /ready], user: root, privileged: true, working_dir: /srv, environment: [A=b] }]", "\"postStart\":[{\"command\":[\"touch\",\"/ready\"],\"user\":\"root\",\"privileged\":true,\"workingDir\":\"/srv\",\"environment\":{\"A\":\"b\"}}]"),
        ("pre_stop", "[{ command: sync }]", "\"preStop\":[{\"command\":[\"sync\"]}]"),
        ("platform", "linux/arm64", "\"platform\":\"linux/arm64\""),
        ("pull_policy", "every_12h", "\"pull\":\"Every\",\"pullEvery\":\"12:00:00\""),
        ("container_name", "my-web", "\"name\":\"my-web\""),
        ("configs", "[{ source: c, target: /etc/c, mode: 0440 }]", "\"files\":[{\"target\":\"/etc/c\",\"sha256\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"mode\":288}]"),
        ("secrets", "[s]", "\"files\":[{\"target\":\"/run/secrets/s\""),
        ("deploy", "{ resources: { limits: { cpus: \"0.5\", memory: 64m, pids: 9 }, reservations: { memory: 32m } }, update_config: { order: start-first, failure_action: rollback, monitor: 20s }, restart_policy: { condition: on-failure, max_attempts: 3 } }", "\"restart\":\"OnFailure\",\"restartLimit\":3"),
        ("extends", "{ service: db }", "\"command\":[\"db\"]"),
        ("profiles", "[a]", ""),
        ("scale", "1", ""),
        ("x-anything", "{ at: all }", ""),
    ];

    private static readonly (string Key, string Value, string Message)[] Refused =
    [
        ("build", ".", "cannot be built on the device; name an image, or use 'supervisor push'"),
        ("links", "[db]", "services on one network find each other by name"),
        ("external_links", "[db]", "use networks with 'external: true'"),
        ("volumes_from", "[db]", "name the volume in both services"),
        ("credential_spec", "{ file: a }", "is for Windows containers"),
        ("isolation", "hyperv", "is for Windows containers"),
        ("cpu_count", "2", "is for Windows containers; use cpus"),
        ("cpu_percent", "2", "is for Windows containers; use cpus"),
        ("develop", "{}", "is for development machines"),
        ("provider", "{ type: a }", "needs plugins that are not on the device"),
        ("models", "[a]", "is not supported"),
        ("use_api_socket", "true", "is not supported"),
        ("attach", "false", "is for an attached terminal"),
    ];

    public static TheoryData<string> TakenKeys => [.. Taken.Select(k => k.Key)];
    public static TheoryData<string> RefusedKeys => [.. Refused.Select(k => k.Key)];

    private static ComposeResult Read(string key, string value)
    {
        // Line 3 is the key's own.
        var text = $"services:\n  web:\n    {key}: {value}\n{(key == "image" ? "" : "    image: web:1\n")}  db: {{ image: db, command: [db] }}\nvolumes: {{ data: {{}} }}\nnetworks: {{ front: {{}} }}\nconfigs: {{ c: {{ content: hello }} }}\nsecrets: {{ s: {{ content: hello }} }}\n";
        return ComposeFile.Read(text, "COMPOSE_PROFILES=a", name => name == "more.env" ? "FROM=file"u8.ToArray() : null);
    }

    [Theory]
    [MemberData(nameof(TakenKeys))]
    public void Is_taken(string key)
    {
        var (_, value, becomes) = Taken.Single(k => k.Key == key);
        var result = Read(key, value);
        Assert.True(result.Release is not null, result.Explain());
        var service = JsonSerializer.Serialize(result.Release, StateJson.Default.Release);
        service = service[service.IndexOf("\"web\":", StringComparison.Ordinal)..];
        Assert.Contains(becomes, service);
    }

    [Theory]
    [MemberData(nameof(RefusedKeys))]
    public void Is_refused_by_name_and_line(string key)
    {
        var (_, value, message) = Refused.Single(k => k.Key == key);
        var error = Assert.Single(Read(key, value).Errors);
        Assert.StartsWith($"compose.yaml:3: services.web.{key}: ", error.ToString());
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public void Deploy_goes_where_the_plain_keys_go()
    {
        var service = Read("deploy", Taken.Single(k => k.Key == "deploy").Value).Release!.Services["web"];
        Assert.Equal((500_000_000, 64 << 20, 9, 32 << 20), (service.Container.NanoCpus, service.Container.Memory, service.Container.PidsLimit, service.Container.MemoryReservation));
        Assert.Equal((UpdateStrategy.HandOver, true, TimeSpan.FromSeconds(20)), (service.Update.Strategy, service.Update.Rollback, service.Update.ProvingTime));
    }

    [Fact]
    public void The_page_lists_every_key()
    {
        var page = File.ReadAllLines(Path.Combine(Repository.RepositoryTree.Root, "supervisor/Compose/README.md"));
        // | `key`, `key` | what becomes of it |
        var rows = page.Where(l => l.StartsWith("| `", StringComparison.Ordinal)).Select(l => l.Split('|')).ToList();
        List<string> Keys(Func<string, bool> which) => [.. rows.Where(r => which(r[2])).SelectMany(r => r[1].Split('`').Where((_, i) => i % 2 == 1)).Where(k => !k.Contains(':')).Order(StringComparer.Ordinal)];
        Assert.Equal(Refused.Select(k => k.Key).Order(StringComparer.Ordinal), Keys(text => text.Contains("refused")));
        Assert.Equal(Taken.Select(k => k.Key).Where(k => !k.StartsWith("x-", StringComparison.Ordinal)).Order(StringComparer.Ordinal), Keys(text => !text.Contains("refused")));
    }
}
