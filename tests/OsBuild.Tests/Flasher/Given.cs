using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

/// <summary>Builds the facts of a machine in a few words.</summary>
internal sealed class Given
{
    private readonly List<Disk> _disks = [];
    private readonly List<Node> _nodes = [];
    private readonly List<Use> _uses = [];
    private readonly List<string> _unseen = [];
    private SystemKind _system;

    public SystemFacts Facts => new() { System = _system, Disks = _disks, Nodes = _nodes, Uses = _uses, Unseen = _unseen };

    public Given On(SystemKind system)
    {
        _system = system;
        return this;
    }

    public Given Disk(string name, string transport = "sata", bool removable = false, long size = 32L << 30, bool readOnly = false, NodeKind kind = NodeKind.Disk, bool claimed = false, string[]? on = null)
    {
        _nodes.Add(new Node(name, kind, on ?? []));
        _disks.Add(new Disk
        {
            Device = "/dev/" + name, Node = name, Number = $"8:{_disks.Count * 16}", Size = size, Transport = transport, Removable = removable, ReadOnly = readOnly,
            Model = "Model of " + name, Serial = "S-" + name, Sequence = _disks.Count + 1, Claimed = claimed,
        });
        return this;
    }

    public Given Stick(string name) => Disk(name, "usb", removable: true);

    public Given Node(string name, NodeKind kind, params string[] on)
    {
        _nodes.Add(new Node(name, kind, on));
        return this;
    }

    public Given Part(string name, string on) => Node(name, NodeKind.Partition, on);

    public Given Use(string node, UseKind kind, string what)
    {
        _uses.Add(new Use(node, kind, what));
        return this;
    }

    public Given Mount(string node, string at) => Use(node, UseKind.Mount, at);

    public Given Unseen(string what)
    {
        _unseen.Add(what);
        return this;
    }

    public Verdict Of(string disk) => Judge.Verdict(_disks.Single(d => d.Node == disk), Facts);
}
