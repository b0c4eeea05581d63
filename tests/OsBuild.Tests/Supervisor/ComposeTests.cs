using System.Text;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

public sealed class ComposeTests
{
    private static Release Good(string text, string? environment = null, Dictionary<string, string>? files = null)
    {
        var result = ComposeFile.Read(text, environment, name => files?.GetValueOrDefault(name) is { } f ? Encoding.UTF8.GetBytes(f) : null);
        Assert.True(result.Release is not null, result.Explain());
        return result.Release;
    }

    private static Service One(string keys, string? environment = null, Dictionary<string, string>? files = null) => Good($"services:\n  web:\n    image: web:1\n{Indent(keys)}", environment, files).Services["web"];

    private static string Indent(string keys) => string.Join('\n', keys.Split('\n').Select(l => "    " + l));

    [Fact]
    public void Reads_what_the_demo_needs()
    {
        var release = Good("""
            services:
              web:
                image: demo-web:1
                ports: ["80:8080"]
                restart: unless-stopped
                volumes: ["data:/data"]
                healthcheck:
                  test: ["CMD", "wget", "-q", "http://127.0.0.1:8080/"]
                  interval: 2s
              second:
                image: demo-web:1
                depends_on:
                  web: { condition: service_healthy }
            volumes:
              data:
            """);
        var web = release.Services["web"];
        Assert.Equal("app", release.App);
        Assert.Equal(new PortSpec(8080, 80), web.Container.Ports!.Single());
        Assert.Equal(RestartPolicy.UnlessStopped, web.Restart);
        Assert.Equal(new MountSpec(MountKind.Volume, "data", "/data"), web.Container.Mounts!.Single());
        Assert.Equal(TimeSpan.FromSeconds(2), web.Container.Healthcheck!.Interval);
        Assert.Equal(new Dependency("web", DependencyCondition.Healthy), release.Services["second"].DependsOn.Single());
        Assert.Equal("default", web.Container.Networks!.Single().Network);
        Assert.Equal(["data"], release.Volumes.Keys);
        Assert.Equal(["default"], release.Networks.Keys);
    }

    [Theory]
    [InlineData("80:8080", "80:8080/tcp")]
    [InlineData("8080", "0:8080/tcp")]
    [InlineData("127.0.0.1:80:8080", "127.0.0.1:80:8080/tcp")]
    [InlineData("'[::1]:80:8080'", "::1:80:8080/tcp")]
    [InlineData("53:53/udp", "53:53/udp")]
    [InlineData("80-82:8080-8082", "80:8080/tcp,81:8081/tcp,82:8082/tcp")]
    [InlineData("127.0.0.1::8080", "127.0.0.1:0:8080/tcp")]
    [InlineData("{ target: 80, published: 8080, host_ip: 10.0.0.1, protocol: udp }", "10.0.0.1:8080:80/udp")]
    public void Reads_every_form_of_port(string text, string ports) => Assert.Equal(ports, string.Join(',', One($"ports: [{(text[0] is '{' or '\'' ? text : $"\"{text}\"")}]").Container.Ports!));

    [Theory]
    [InlineData("data:/x", "Volume", "data", "/x", null)]
    [InlineData("/srv/x:/x:ro", "Bind", "/srv/x", "/x", true)]
    [InlineData("./x:/x", "Bind", "/data/apps/x", "/x", null)]
    [InlineData("/anonymous", "Volume", null, "/anonymous", null)]
    public void Reads_short_volumes(string text, string kind, string? source, string target, bool? readOnly)
    {
        var mount = Good($"services: {{ web: {{ image: a, volumes: [\"{text}\"] }} }}\nvolumes: {{ data: }}").Services["web"].Container.Mounts!.Single();
        Assert.Equal(new MountSpec(Enum.Parse<MountKind>(kind), source, target) { ReadOnly = readOnly }, mount);
    }

    [Fact]
    public void Reads_the_whole_must_column_at_once()
    {
        var keys = """
            command: sh -c "echo 'a b'"
            entrypoint: ["/init"]
            environment: [A=1, B]
            env_file: [{ path: more.env, required: false }, base.env]
            labels: { x: y }
            restart: on-failure:3
            expose: [9000]
            tmpfs: [/run, "/tmp:size=1m"]
            hostname: h
            domainname: d
            extra_hosts: ["db:10.0.0.1", "six=[::1]"]
            dns: 1.1.1.1
            dns_opt: [ndots:1]
            dns_search: [lan]
            devices: [/dev/ttyUSB0, "/dev/a:/dev/b:r"]
            device_cgroup_rules: ["c 1:3 mr"]
            cap_add: [SYS_RAWIO]
            cap_drop: [ALL]
            privileged: false
            security_opt: [no-new-privileges:true]
            group_add: [20]
            user: "1000:1000"
            working_dir: /srv
            init: true
            ipc: shareable
            pid: host
            uts: host
            cgroup_parent: /apps
            read_only: true
            shm_size: 64m
            stop_grace_period: 1m30s
            stop_signal: SIGINT
            sysctls: { net.core.somaxconn: 1024 }
            ulimits: { nproc: 65535, nofile: { soft: 20000, hard: 40000 } }
            tty: true
            stdin_open: true
            mem_limit: 96m
            mem_reservation: 64m
            memswap_limit: -1
            mem_swappiness: 10
            cpus: 0.5
            cpu_shares: 512
            cpu_period: 100ms
            cpu_quota: 50000
            cpuset: 0,1
            pids_limit: 100
            oom_kill_disable: false
            oom_score_adj: 500
            storage_opt: { size: 1G }
            userns_mode: host
            runtime: runc
            logging: { driver: local, options: { max-size: 1m } }
            platform: linux/amd64
            pull_policy: every_12h
            container_name: my-web
            x-anything: { at: all }
            """;
        var service = One(keys, "B=from-dotenv", new() { ["base.env"] = "A=0\nC=3\n" });
        var spec = service.Container;
        Assert.Equal(["sh", "-c", "echo 'a b'"], spec.Command!);
        Assert.Equal("A=1 B=from-dotenv C=3", string.Join(' ', spec.Environment!.Select(e => $"{e.Key}={e.Value}")));
        Assert.Equal((RestartPolicy.OnFailure, 3), (service.Restart, service.RestartLimit));
        Assert.Equal(["db:10.0.0.1", "six:::1"], spec.ExtraHosts!);
        Assert.Equal(new DeviceSpec("/dev/a", "/dev/b", "r"), spec.Devices![1]);
        Assert.Equal(TimeSpan.FromSeconds(90), service.StopGrace);
        Assert.Equal(new UlimitSpec(20000, 40000), spec.Ulimits!["nofile"]);
        Assert.Equal((96L << 20, -1L, 500_000_000L, 100_000L), (spec.Memory, spec.MemorySwap, spec.NanoCpus, spec.CpuPeriod));
        Assert.Equal((PullPolicy.Every, TimeSpan.FromHours(12)), (service.Pull, service.PullEvery));
        Assert.Equal(("local", "my-web", 2), (spec.LogDriver, spec.Name, spec.Mounts!.Count));
    }

    [Theory]
    [InlineData("services:\n  web:\n    image: a\n    colour: red", "compose.yaml:4: services.web.colour: is not a key this supervisor knows")]
    [InlineData("services:\n  web:\n    build: .", "compose.yaml:3: services.web.build: cannot be built on the device; name an image, or use 'supervisor push'")]
    [InlineData("services:\n  web: {}", "compose.yaml:2: services.web: has no image")]
    [InlineData("services:\n  web:\n    image: UPPER", "compose.yaml:3: services.web.image: 'UPPER' is not a valid image name")]
    [InlineData("services:\n  web:\n    image: a\n    ports: [\"x:80\"]", "compose.yaml:4: services.web.ports[0]: 'x' is not a port or a range of ports")]
    [InlineData("services:\n  web:\n    image: a\n    volumes: [\"data:/d\"]", "compose.yaml:4: services.web.volumes: the volume 'data' is not defined under the file's volumes")]
    [InlineData("services:\n  web:\n    image: a\n    networks: [n]", "compose.yaml:4: services.web.networks: the network 'n' is not defined under the file's networks")]
    [InlineData("services:\n  web:\n    image: a\n    depends_on: [db]", "compose.yaml:4: services.web.depends_on: the service 'db' does not exist or its profile is not active")]
    [InlineData("services:\n  a: {image: a, depends_on: [b]}\n  b: {image: b, depends_on: [a]}", "the services wait for each other: a → b → a")]
    [InlineData("services:\n  a: {image: a, ports: ['80:80']}\n  b: {image: b, ports: ['80:81']}", "the host port 80/tcp is already published by 'a'")]
    [InlineData("services:\n  web:\n    image: a\n    deploy:\n      replicas: 3", "compose.yaml:5: services.web.deploy.replicas: 3 containers of one service do not run on a device; use 1")]
    [InlineData("services:\n  web:\n    image: a\n    mem_limit: lots", "compose.yaml:4: services.web.mem_limit: must be a size such as 64m or 1gb, not 'lots'")]
    [InlineData("services:\n  web:\n    image: a\n    restart: sometimes", "must be no, always, on-failure[:times] or unless-stopped, not 'sometimes'")]
    [InlineData("services:\n  web:\n    image: ${IMAGE:?which one}", "the variable IMAGE is required: which one; set it in .env")]
    [InlineData("services:\n  web:\n    image: a\n    environment: [A=$!]", "a '$' that starts no variable")]
    [InlineData("services:\n  web:\n    image: a\n    healthcheck: {test: [wget]}", "must begin with NONE, CMD or CMD-SHELL")]
    [InlineData("services:\n  web:\n    image: a\n    network_mode: service:db", "the service 'db' does not exist or its profile is not active")]
    [InlineData("services:\n  web:\n    image: a\n    network_mode: container:db", "name its service, as in service:NAME")]
    [InlineData("services:\n  web:\n    image: a\n    pid: service:web", "a service cannot be in its own name spaces")]
    [InlineData("services:\n  web:\n    image: a\n    uts: service:db", "must be host, not 'service:db'")]
    [InlineData("services:\n  db: {image: a}\n  web:\n    image: a\n    ipc: service:db", "'db' does not share its memory; give it 'ipc: shareable'")]
    [InlineData("services:\n  db: {image: a}\n  web:\n    image: a\n    network_mode: service:db\n    ports: [\"80:80\"]", "belongs to the network of 'db', which this service is in; say it there")]
    [InlineData("services:\n  db: {image: a}\n  web:\n    image: a\n    network_mode: service:db\n    hostname: h", "belongs to the network of 'db'")]
    [InlineData("services:\n  db: {image: a, profiles: [more]}\n  web:\n    image: a\n    network_mode: service:db", "does not exist or its profile is not active")]
    [InlineData("services:\n  db: {image: a, pid: \"service:web\"}\n  web:\n    image: a\n    network_mode: service:db", "the services wait for each other: db → web → db")]
    [InlineData("services:\n  db: {image: a}\n  web:\n    image: a\n    network_mode: service:db\n    depends_on: {db: {condition: service_completed_successfully}}", "cannot have completed and be running at the same time")]
    [InlineData("services:\n  web:\n    image: a\n    labels: {io.osbuild.update.strategy: yolo}", "the label io.osbuild.update.strategy cannot be 'yolo'")]
    [InlineData("services:\n  web:\n    image: a\n    ports: ['53:53/udp']\n    labels: {io.balena.update.strategy: hand-over}", "only tcp ports can be handed over")]
    [InlineData("services:\n  web:\n    image: a\n  web:\n    image: b", "not valid YAML")]
    [InlineData("services: [", "not valid YAML")]
    [InlineData("- a", "the file must be a map with services, but is a list")]
    [InlineData("name: Bad Name\nservices: {}", "'Bad Name' is not a project name")]
    [InlineData("networks: {}", "the file has no services")]
    [InlineData("servces: {}\nservices: {}", "compose.yaml:1: servces: is not a part of a compose file")]
    [InlineData("services:\n  web:\n    image: a\n    secrets: [s]", "'s' is not defined under the file's secrets")]
    [InlineData("services:\n  web:\n    image: a\n    env_file: none.env", "the file none.env cannot be read")]
    [InlineData("services:\n  web:\n    image: a\n    extends: {service: gone}", "the service 'gone' does not exist")]
    [InlineData("services:\n  web:\n    image: a\n    extends: web", "'web' extends itself")]
    [InlineData("services:\n  web:\n    image: a\n    ports: !overide ['80:80']", "compose.yaml:4: services.web.ports: the tag !overide is not known; known are !reset and !override")]
    [InlineData("services:\n  web:\n    image: a\n    post_start: [{ user: root }]", "compose.yaml:4: services.web.post_start[0]: needs a command")]
    [InlineData("services:\n  web:\n    image: a\n    pre_stop: sync", "compose.yaml:4: services.web.pre_stop: must be a list of hooks, each with a command")]
    [InlineData("services:\n  web:\n    image: a\n    pre_stop: [{ command: sync, when: now }]", "services.web.pre_stop[0].when: is not known here")]
    public void S63_Refuses_by_name_and_line(string text, string message)
    {
        var result = ComposeFile.Read(text);
        Assert.Null(result.Release);
        Assert.Contains(message, result.Explain());
    }

    [Fact]
    public void Tells_all_mistakes_in_one_go()
    {
        var result = ComposeFile.Read("services:\n  a:\n    image: X\n    nope: 1\n  b:\n    ports: [a]\nmodels: {}\n");
        Assert.Equal(5, result.Errors.Count());
    }

    [Theory]
    [InlineData("$A", "1")]
    [InlineData("${A}", "1")]
    [InlineData("x${A}y", "x1y")]
    [InlineData("${NONE:-d}", "d")]
    [InlineData("${EMPTY:-d}", "d")]
    [InlineData("${EMPTY-d}", "")]
    [InlineData("${A:+set}", "set")]
    [InlineData("${NONE:+set}", "")]
    [InlineData("${NONE:-${A}}", "1")]
    [InlineData("$$A", "$A")]
    [InlineData("${A:?no}", "1")]
    public void Puts_variables_in(string text, string value) => Assert.Equal(value, One($"environment: {{ V: \"{text}\" }}", "A=1\nEMPTY=\n").Container.Environment!["V"]);

    [Fact]
    public void Follows_anchors_merges_extends_includes_and_profiles()
    {
        var release = Good("""
            include: [other.yaml]
            x-base: &base
              restart: always
              environment: { A: "1" }
            services:
              web:
                <<: *base
                image: web:1
              child:
                extends: { service: web }
                environment: { B: "2" }
                command: [x]
              debug:
                image: debug
                profiles: [dev]
            """, null, new() { ["other.yaml"] = "services: { third: { image: third } }" });
        Assert.Equal(["child", "third", "web"], release.Services.Keys);
        var child = release.Services["child"];
        Assert.Equal((RestartPolicy.Always, "web:1", 2), (child.Restart, child.Image, child.Container.Environment!.Count));
    }

    [Fact]
    public void What_extends_can_take_away_and_replace()
    {
        var child = Good("""
            services:
              base:
                image: web:1
                ports: ["80:80"]
                environment: { A: "1", B: "2" }
                volumes: ["/srv:/s"]
                cap_add: [SYS_TIME]
              web:
                extends: { service: base }
                ports: !override ["81:80"]
                environment: !override { C: "3" }
                volumes: !reset []
                cap_add: [NET_ADMIN]
            """).Services["web"].Container;
        Assert.Equal([81], child.Ports!.Select(p => p.HostPort));
        Assert.Equal(["C"], child.Environment!.Keys);
        Assert.Null(child.Mounts);
        Assert.Equal(["SYS_TIME", "NET_ADMIN"], child.CapAdd!);
    }

    [Fact]
    public void Maps_start_first_with_rollback_to_a_hand_over()
    {
        var update = One("deploy:\n  update_config: { order: start-first, failure_action: rollback, monitor: 20s }").Update;
        Assert.Equal((UpdateStrategy.HandOver, false, true, TimeSpan.FromSeconds(20)), (update.Strategy, update.Signal, update.Rollback, update.ProvingTime));
        update = One("labels: { io.balena.update.strategy: hand-over, io.balena.update.handover-timeout: \"120000\" }").Update;
        Assert.Equal((UpdateStrategy.HandOver, true, TimeSpan.FromMinutes(2)), (update.Strategy, update.Signal, update.Timeout));
    }

    [Fact]
    public void Configs_and_secrets_become_files_with_their_content()
    {
        var release = Good("services: { web: { image: a, configs: [{ source: c, target: /etc/c, mode: 0440 }], secrets: [s] } }\nconfigs: { c: { content: hello } }\nsecrets: { s: { environment: TOKEN } }", "TOKEN=t");
        var files = release.Services["web"].Container.Files!;
        Assert.Equal(("/etc/c", 0x120, "/run/secrets/s"), (files[0].Target, files[0].Mode, files[1].Target));
        Assert.Equal("hello", Encoding.UTF8.GetString(release.Files[files[0].Sha256]));
    }

    [Fact]
    public void S63_Survives_any_text()
    {
        const string good = "services:\n  web: &a\n    image: a:${V:-1}\n    ports: ['80:80', {target: 1}]\n    <<: *a\n    depends_on: {db: {condition: service_started}}\n  db: {image: b, extends: web}\n";
        var random = new Random(1);
        for (var i = 0; i < 3000; i++)
        {
            var text = new StringBuilder(good);
            for (var j = random.Next(1, 6); j > 0; j--)
            {
                var at = random.Next(text.Length);
                if (random.Next(2) == 0) text.Remove(at, random.Next(1, Math.Min(8, text.Length - at + 1)).CompareTo(0));
                else text.Insert(at, "[]{}:&*-\n $!'\"#%@\0é~|>?,"[random.Next(24)]);
            }

            var result = ComposeFile.Read(text.ToString());
            Assert.True(result.Release is not null || result.Errors.Any());
        }
    }

    [Theory]
    [InlineData(100_000, "[")]
    [InlineData(20_000, "{a: ")]
    [InlineData(5_000, "- ")]
    public void S63_Deep_nesting_is_refused_not_a_crash(int times, string opening) => Assert.Null(ComposeFile.Read(new StringBuilder().Insert(0, opening, times).ToString()).Release);

    [Fact]
    public void S63_Fifty_megabytes_are_refused_unread() => Assert.Contains("more than 1024 KiB", ComposeFile.Read("# " + new string('x', 50 << 20)).Explain());

    [Fact]
    public void S63_Aliases_that_multiply_are_refused()
    {
        var text = new StringBuilder("a: &a [x,x,x,x,x,x,x,x,x]\n");
        for (var c = 'b'; c <= 'j'; c++) text.Append($"{c}: &{c} [{string.Join(',', Enumerable.Repeat($"*{(char)(c - 1)}", 9))}]\n");
        Assert.Contains("too many values", ComposeFile.Read(text.ToString()).Explain());
    }
}
