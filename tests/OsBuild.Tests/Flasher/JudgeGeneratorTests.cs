using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

/// <summary>Random machines: whatever is stacked how on what, no disk under anything in use is ever judged writable, and no disk
/// with nothing in use on it is refused. The truth is worked out from the top (what each used thing lies on) where the judge looks from the bottom.</summary>
public sealed class JudgeGeneratorTests
{
    private sealed class Machine(Random random)
    {
        public readonly List<Disk> Disks = [];
        public readonly List<Node> Nodes = [];
        public readonly List<Use> Uses = [];

        public SystemFacts Facts => new() { Disks = Disks, Nodes = [.. Nodes.OrderBy(_ => random.Next())], Uses = Uses };

        public void Build()
        {
            for (var i = random.Next(1, 7); i > 0; i--) AddDisk();
            for (var i = random.Next(0, 8); i > 0; i--) AddLayer();
            for (var i = random.Next(0, 6); i > 0; i--) AddUse();
        }

        private void AddDisk()
        {
            var name = $"d{Disks.Count}";
            Nodes.Add(new Node(name, NodeKind.Disk, []));
            Disks.Add(new Disk { Device = "/dev/" + name, Node = name, Size = 1 + random.NextInt64(1L << 42), Removable = random.Next(2) == 0, Transport = random.Next(2) == 0 ? "usb" : "nvme" });
            for (var p = random.Next(0, 4); p > 0; p--) Nodes.Add(new Node($"{name}p{p}", NodeKind.Partition, [name]));
        }

        private void AddLayer()
        {
            var name = $"n{Nodes.Count}";
            var below = Enumerable.Range(0, random.Next(1, 4)).Select(_ => Nodes[random.Next(Nodes.Count)].Name).Distinct().ToList();
            switch (random.Next(5))
            {
                case 0:
                    Nodes.Add(new Node(name, NodeKind.Mapped, below));
                    break;
                case 1:
                    Nodes.Add(new Node(name, NodeKind.Pool, below));
                    if (random.Next(2) == 0) Nodes.Add(new Node(name + "p1", NodeKind.Partition, [name]));
                    break;
                case 2:
                    Nodes.Add(new Node(name, NodeKind.Ram, below[..1]));
                    break;
                default:
                    Nodes.Add(new Node("f" + name, NodeKind.File, below[..1]));
                    for (var i = random.Next(0, 3); i > 0; i--)
                    {
                        Nodes.Add(new Node($"l{i}{name}", NodeKind.Loop, ["f" + name]));
                        Disks.Add(new Disk { Device = $"/dev/l{i}{name}", Node = $"l{i}{name}", Size = 1 << 20, Transport = "loop" });
                    }

                    break;
            }
        }

        private void AddUse()
        {
            UseKind[] kinds = Enum.GetValues<UseKind>();
            var kind = kinds[random.Next(kinds.Length)];
            Uses.Add(new Use(Nodes[random.Next(Nodes.Count)].Name, kind, kind == UseKind.Mount ? Mounts[random.Next(Mounts.Length)] : "x"));
        }

        private static readonly string[] Mounts = ["/", "/home", "/media/a/b", "/run/media/a", "/mnt", "/boot", "/media", "/var/lib/docker/x", "/mnt/a"];
    }

    /// <summary>All disks that a node's bytes lie on, itself included; a loop's file counts, what the file lies on too.</summary>
    private static HashSet<string> Under(string node, Dictionary<string, Node> nodes, HashSet<string>? seen = null)
    {
        seen ??= [];
        if (seen.Add(node))
            foreach (var below in nodes[node].On) Under(below, nodes, seen);
        return seen;
    }

    private static bool Harmless(Use use, Disk disk) =>
        use.Kind == UseKind.Mount && disk.Removable && (use.What == "/mnt" || use.What.StartsWith("/media/") || use.What.StartsWith("/run/media/") || use.What.StartsWith("/mnt/"));

    [Fact]
    public void No_disk_under_anything_in_use_is_ever_judged_writable_and_none_is_refused_falsely()
    {
        // A million with OSBUILD_FUZZ=100; enough here to reach every combination of layer and use.
        var count = 10_000 * int.Parse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ") ?? "1");
        int free = 0, refused = 0, wrong = 0;
        string? first = null;
        Parallel.For(0, count, seed =>
        {
            var machine = new Machine(new Random(seed));
            machine.Build();
            var facts = machine.Facts;
            var nodes = facts.Nodes.ToDictionary(n => n.Name);
            var under = facts.Nodes.ToDictionary(n => n.Name, n => Under(n.Name, nodes));
            foreach (var disk in facts.Disks)
            {
                // A loop device shares its bytes with its file and with every loop on the same file.
                List<string> same = nodes[disk.Node].Kind == NodeKind.Loop ? [disk.Node, .. nodes[disk.Node].On] : [disk.Node];
                var used = facts.Uses.Any(u => !Harmless(u, disk) && same.Any(under[u.Node].Contains));
                var carries = facts.Nodes.Any(n => n.Name != disk.Node && n.Kind is not (NodeKind.Partition or NodeKind.File) && same.Any(under[n.Name].Contains));
                var ok = Judge.Verdict(disk, facts).Ok;
                if (ok == (used || carries))
                {
                    Interlocked.Increment(ref wrong);
                    Interlocked.CompareExchange(ref first, $"seed {seed}: {disk.Device} judged {(ok ? "writable" : "refused")}, but used={used} carries={carries}", null);
                }

                Interlocked.Increment(ref ok ? ref free : ref refused);
            }
        });
        TestContext.Current.SendDiagnosticMessage($"{count} machines, {free + refused} verdicts, {free} writable, {refused} refused, {wrong} wrong");
        Assert.True(wrong == 0, $"{wrong} wrong verdicts of {free + refused}; {first}");
        Assert.True(free > count / 10 && refused > count / 10, $"the generator must give both: {free} free, {refused} refused");
    }
}
