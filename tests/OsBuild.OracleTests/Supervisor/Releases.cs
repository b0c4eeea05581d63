namespace OsBuild.OracleTests.Supervisor;

/// <summary>Compose files of one web service that publishes a port, good and bad ones.</summary>
internal static class Releases
{
    public const string Serve = "command: [httpd, -f, -p, \"8080\", -h, /www]";
    public const string Health = "healthcheck: { test: [CMD, wget, -q, -O, /dev/null, \"http://127.0.0.1:8080/\"], interval: 2s, timeout: 20s, retries: 2 }";
    public const string Good = Serve + "\n" + Health;

    /// <param name="port">The host's port.</param>
    /// <param name="image">Its image.</param>
    /// <param name="keys">Further keys of the service, a line each.</param>
    /// <param name="strategy">How it is updated.</param>
    /// <param name="timeout">How long it has to take over.</param>
    /// <param name="other">Further services.</param>
    public static string Web(int port, string image, string keys, string strategy, string timeout = "120s", string other = "") => $$"""
        services:
          web:
            image: {{image}}
            ports: ["{{port}}:8080"]
            restart: always
            stop_grace_period: 1s
            labels: { io.osbuild.update.strategy: {{strategy}}, io.osbuild.update.proving-time: 4s, io.osbuild.update.handover-timeout: {{timeout}} }
        {{string.Join('\n', keys.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => "    " + l.Trim()))}}
        {{other}}
        """;

    /// <summary>A device on which the first release runs and is good.</summary>
    public static async Task<Device> RunningAsync(EngineFixture fixture, int port, string strategy, string image = "app:1", string other = "")
    {
        var device = await Device.NewAsync(fixture);
        if (image == "app:1") await device.LoadAsync(TestImages.Archive("app:1"));
        device.Compose(Web(port, image, Good, strategy, other: other));
        device.Start();
        await device.UntilAsync("the first release is good", s => s.Releases.Exists(r => r.State == "good"));
        return device;
    }

    /// <summary>The one kind that is ready for a while: it takes over and is taken back, so a hand-over too may lose what was under way.</summary>
    public const string LooksGood = "crash loop that looks healthy between";

    /// <summary>Every kind of bad release; the first column names it.</summary>
    public static readonly (string Kind, string Keys)[] Bad =
    [
        ("exits at once", "command: [\"false\"]"),
        ("exits with 0", "command: [\"true\"]"),
        ("exits after two seconds", "command: [sh, -c, \"httpd -p 8080 -h /www; sleep 2\"]"),
        ("is unhealthy", Serve + "\nhealthcheck: { test: [CMD, \"false\"], interval: 500ms, retries: 3 }"),
        ("does not listen", "command: [sleep, \"1000\"]\n" + Health),
        ("listens on another port", "command: [httpd, -f, -p, \"8081\", -h, /www]\n" + Health),
        (LooksGood, "command: [sh, -c, \"httpd -p 8080 -h /www; sleep 3; exit 7\"]\n" + Health),
        ("its healthcheck hangs", Serve + "\nhealthcheck: { test: [CMD, sleep, \"100\"], interval: 500ms, timeout: 500ms, retries: 2 }"),
        ("its healthcheck is no program", Serve + "\nhealthcheck: { test: [CMD, /nope], interval: 500ms, retries: 2 }"),
        ("no such program", "entrypoint: [/nope]"),
        ("not executable", "entrypoint: [/etc/passwd]"),
        ("not a program of this machine", "entrypoint: [/www/index.html]"),
        ("no such user", Serve + "\nuser: nobody-here"),
        ("no such group", Serve + "\nuser: \"0:no-group\""),
        ("bad environment", "command: [sh, -c, \"test \\\"$$MODE\\\" = serve && exec httpd -f -p 8080 -h /www\"]\nenvironment: { MODE: nonsense }"),
        ("writes to a read-only root", "command: [sh, -c, \"touch /state && exec httpd -f -p 8080 -h /www\"]\nread_only: true"),
        ("a device that is none", Serve + "\ndevices: [/etc/hostname]"),
        ("no such runtime", Serve + "\nruntime: none-such"),
        ("no such log driver", Serve + "\nlogging: { driver: none-such }"),
        ("bad log option", Serve + "\nlogging: { driver: json-file, options: { max-size: lots } }"),
        ("bad sysctl", Serve + "\nsysctls: { not.a.sysctl: 1 }"),
        ("bad capability", Serve + "\ncap_add: [CAP_EVERYTHING]"),
        ("bad security option", Serve + "\nsecurity_opt: [\"seccomp=/nope.json\"]"),
        ("too little memory", Serve + "\nmem_limit: 1m"),
        ("out of memory", "command: [sh, -c, \"dd if=/dev/zero of=/dev/shm/x bs=1M count=64 && exec httpd -f -p 8080 -h /www\"]\nmem_limit: 16m\nmemswap_limit: 16m\nshm_size: 128m"),
        ("too many CPUs", Serve + "\ncpus: 4000"),
        ("no such CPU", Serve + "\ncpuset: \"99\""),
        ("mount source missing", Serve + "\nvolumes: [{ type: bind, source: /not/there, target: /x, bind: { create_host_path: false } }]"),
        ("file mounted over a directory", Serve + "\nvolumes: [\"/etc/hostname:/bin\"]"),
        ("programs hidden by a tmpfs", Serve + "\ntmpfs: /bin"),
        ("storage limit unsupported", Serve + "\nstorage_opt: { size: 1G }"),
        ("no such GPU", Serve + "\ngpus: all"),
        ("bad working directory", Serve + "\nworking_dir: relative/path"),
        ("bad ulimit", Serve + "\nulimits: { nonsense: 5 }"),
        ("bad host name", Serve + "\nextra_hosts: [\"bad=not-an-address\"]"),
        ("bad tmpfs option", Serve + "\ntmpfs: \"/x:nonsense=1\""),
    ];
}
