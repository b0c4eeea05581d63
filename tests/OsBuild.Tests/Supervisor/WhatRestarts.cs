using OsBuild.Supervisor.Compose;

namespace OsBuild.Tests.Supervisor;

/// <summary>Exactly the services whose effective specification changed are restarted (goal 12): one row per change of the target.</summary>
public sealed class WhatRestarts
{
    private const string Base = """
        services:
          web:
            image: web:1
            command: ["serve", "-v"]
            environment: { LEVEL: "1", MODE: a }
            labels: { team: blue }
            ports: ["8080:80"]
            volumes: ["data:/data"]
            networks: [front]
            depends_on: [db]
            restart: always
            stop_grace_period: 5s
            mem_limit: 64m
            healthcheck: { test: [CMD, "true"], interval: 5s }
          db:
            image: db:1
            restart: always
            volumes: ["data:/var"]
            networks: [front]
        networks:
          front: { driver: bridge }
        volumes:
          data: { labels: { keep: "1" } }
        """;

    [Theory]
    // What the container is made from.
    [InlineData("web", "image: web:1", "image: web:2")]
    [InlineData("db", "image: db:1", "image: db:2")]
    [InlineData("web", "[\"serve\", \"-v\"]", "[\"serve\"]")]
    [InlineData("web", "LEVEL: \"1\"", "LEVEL: \"2\"")]
    [InlineData("web", ", MODE: a", "")]
    [InlineData("web", "MODE: a", "MODE: a, NEW: b")]
    [InlineData("web", "team: blue", "team: red")]
    [InlineData("web", "8080:80", "8081:80")]
    [InlineData("web", "8080:80", "127.0.0.1:8080:80")]
    [InlineData("web", "\"8080:80\"", "\"8080:80\", \"9090:90\"")]
    [InlineData("web", "data:/data", "data:/data:ro")]
    [InlineData("web", "[\"data:/data\"]", "[\"data:/data\", /tmp/x]")]
    [InlineData("web", "mem_limit: 64m", "mem_limit: 65m")]
    [InlineData("web", "interval: 5s", "interval: 6s")]
    [InlineData("web", "[CMD, \"true\"]", "[CMD, \"false\"]")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    user: \"1\"\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    hostname: h\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    working_dir: /w\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    entrypoint: [/e]\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    privileged: true\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    cap_add: [NET_ADMIN]\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    devices: [/dev/null]\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    read_only: true\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    init: true\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    tmpfs: /run\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    dns: 1.1.1.1\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    extra_hosts: [a=10.0.0.1]\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    cpus: 0.5\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    pids_limit: 9\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    sysctls: { net.core.somaxconn: 1 }\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    ulimits: { nproc: 9 }\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    shm_size: 1m\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    stop_signal: SIGINT\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    logging: { driver: local }\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    tty: true\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    deploy: { resources: { limits: { cpus: \"0.5\" } } }\n    stop")]
    [InlineData("web", "restart: always\n    stop", "restart: always\n    container_name: other\n    stop")]
    // The supervisor publishes the ports instead of the engine.
    [InlineData("web", "restart: always\n    stop", "restart: always\n    deploy: { update_config: { order: start-first } }\n    stop")]
    [InlineData("web", "networks: [front]\n    depends", "networks: { front: { aliases: [w] } }\n    depends")]
    [InlineData("web", "networks: [front]\n    depends", "networks: { front: { ipv4_address: 172.30.0.9 } }\n    depends")]
    [InlineData("db web", "front: { driver", "front: { internal: true, driver")]
    // What is only policy or only looks different.
    [InlineData("", "image: web:1", "image: \"web:1\"")]
    [InlineData("", "LEVEL: \"1\", MODE: a", "MODE: a, LEVEL: \"1\"")]
    [InlineData("", "{ LEVEL: \"1\", MODE: a }", "[MODE=a, LEVEL=1]")]
    [InlineData("", "LEVEL: \"1\"", "LEVEL: 1")]
    [InlineData("", "depends_on: [db]", "depends_on: { db: { condition: service_started } }")]
    [InlineData("", "depends_on: [db]", "depends_on: []")]
    [InlineData("", "restart: always\n    stop", "restart: unless-stopped\n    stop")]
    [InlineData("", "stop_grace_period: 5s", "stop_grace_period: 9s")]
    [InlineData("", "team: blue", "team: blue, io.osbuild.update.proving-time: 5s")]
    [InlineData("", "team: blue", "team: blue, io.balena.update.strategy: kill-then-download")]
    [InlineData("", "restart: always\n    stop", "restart: always\n    pull_policy: always\n    stop")]
    [InlineData("", "restart: always\n    stop", "restart: always\n    x-note: hello\n    stop")]
    [InlineData("", "restart: always\n    stop", "restart: always\n    deploy: { update_config: { monitor: 9s } }\n    stop")]
    [InlineData("", "restart: always\n    stop", "restart: always\n    privileged:\n    stop")]
    [InlineData("", "8080:80", "8080:80/tcp")]
    [InlineData("", "data:/data", "data:/data:rw")]
    [InlineData("", "interval: 5s", "interval: 5000ms")]
    [InlineData("", "mem_limit: 64m", "mem_limit: 65536k")]
    [InlineData("", "services:", "# a remark\nservices:")]
    [InlineData("", "services:", "version: '3'\nservices:")]
    [InlineData("", "  db:", "  more: { image: more, networks: [front] }\n  db:")]
    [InlineData("", "keep: \"1\"", "keep: \"2\"")]
    public void Only_what_changed(string restarted, string before, string after)
    {
        Assert.Contains(before, Base);
        var old = ComposeFile.Read(Base).Release!;
        var changed = ComposeFile.Read(Base.Replace(before, after, StringComparison.Ordinal));
        Assert.True(changed.Release is not null, changed.Explain());
        var next = changed.Release;
        // A changed network is made anew, so everyone on it restarts.
        var networks = old.Networks.Where(n => OsBuild.Supervisor.State.SpecHash.Of(n.Value) != OsBuild.Supervisor.State.SpecHash.Of(next.Networks[n.Key])).Select(n => n.Key).ToList();
        var restarts = old.Services.Values.Where(s => next.Services[s.Name].Hash() != s.Hash() || s.Container.Networks!.Exists(n => networks.Contains(n.Network))).Select(s => s.Name);
        Assert.Equal(restarted, string.Join(' ', restarts));
    }
}
