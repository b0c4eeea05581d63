using System.Text.Json;
using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

/// <summary>The safety corpus: machines drawn by hand after reports of other flashers' failures, and machines recorded with lsblk.</summary>
public sealed class CorpusTests
{
    private static string Resource(string name)
    {
        using var stream = typeof(CorpusTests).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    [Fact]
    public void Every_drawn_machine_is_judged_rightly()
    {
        List<string> wrong = [];
        int machines = 0, verdicts = 0;
        foreach (var line in Resource("flasher-corpus.txt").Split('\n').Where(l => l.Length > 0 && l[0] != '#'))
        {
            var columns = line.Split('|', StringSplitOptions.TrimEntries);
            Assert.True(columns.Length == 4, line);
            var facts = Machine(columns[0], columns[2]);
            machines++;
            foreach (var expected in columns[3].Split(' '))
            {
                verdicts++;
                var disk = facts.Disks.SingleOrDefault(d => d.Node == expected[..^1]);
                Assert.True(disk is not null, $"no disk {expected} in: {line}");
                var verdict = Judge.Verdict(disk, facts);
                if (verdict.Ok != (expected[^1] == '+')) wrong.Add($"{columns[1]}: {disk.Node} judged {(verdict.Ok ? "writable" : "refused: " + string.Join("; ", verdict.Reasons.Select(r => r.Text)))}");
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} wrong verdicts:\n{string.Join('\n', wrong)}");
        Assert.True(machines >= 154 && verdicts >= 235, $"{machines} machines, {verdicts} verdicts");
    }

    /// <summary>Reads the words of the corpus (its first lines explain them).</summary>
    internal static SystemFacts Machine(string system, string words)
    {
        List<Disk> disks = [];
        List<Node> nodes = [];
        List<Use> uses = [];
        List<string> unseen = [];
        foreach (var word in Words(words))
        {
            var part = word.Split(':', 3);
            var at = part[1].Split('@');
            string[] on = at.Length > 1 ? at[1].Split(',') : [];
            if (NodeKindOf(part[0]) is { } kind)
            {
                nodes.Add(new Node(at[0], kind, on));
                var more = part.Length > 2 ? part[2].Split(':') : [];
                var flags = more.Length > 1 ? more[1] : "";
                if (kind is not (NodeKind.Partition or NodeKind.Mapped or NodeKind.File))
                    disks.Add(new Disk
                    {
                        Device = "/dev/" + at[0], Node = at[0], Size = flags.Contains('0') ? 0 : 32L << 30, Transport = kind == NodeKind.Loop ? "loop" : more.Length > 0 ? more[0] : "",
                        Removable = flags.Contains('r'), ReadOnly = flags.Contains('w'), Claimed = flags.Contains('c'), Serial = "S-" + at[0],
                    });
            }
            else if (part[0] == "unseen")
            {
                unseen.Add("not everything can be seen");
            }
            else
            {
                Assert.Contains(nodes, n => n.Name == part[1]);
                uses.Add(new Use(part[1], UseKindOf(part[0]), part.Length > 2 ? part[2] : "x"));
            }
        }

        return new SystemFacts { System = Enum.Parse<SystemKind>(system, ignoreCase: true), Disks = disks, Nodes = nodes, Uses = uses, Unseen = unseen };
    }

    private static IEnumerable<string> Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static NodeKind? NodeKindOf(string word) => word switch
    {
        "disk" => NodeKind.Disk,
        "part" => NodeKind.Partition,
        "map" => NodeKind.Mapped,
        "pool" => NodeKind.Pool,
        "file" => NodeKind.File,
        "loop" => NodeKind.Loop,
        "ram" => NodeKind.Ram,
        "cd" => NodeKind.Optical,
        "boot" => NodeKind.HardwarePartition,
        "odd" => NodeKind.Unknown,
        _ => null,
    };

    private static UseKind UseKindOf(string word) => word switch
    {
        "mount" => UseKind.Mount,
        "else" => UseKind.MountElsewhere,
        "sys" => UseKind.System,
        "efi" => UseKind.Boot,
        "swap" => UseKind.Swap,
        "sleep" => UseKind.Hibernation,
        "hidden" => UseKind.HiddenFileSystem,
        "member" => UseKind.Member,
        "open" => UseKind.Open,
        "image" => UseKind.Image,
        "program" => UseKind.Program,
        _ => throw new FormatException(word),
    };

    [Theory]
    [InlineData("collects-mountpoints-from-children.json", "sda+")]
    [InlineData("filters-out-cd-dvd-drives.json", "sr0-")]
    [InlineData("filters-out-emmc-boot-partitions.json", "mmcblk0boot0-")]
    [InlineData("filters-out-ram-devices.json", "ram0-")]
    [InlineData("filters-out-zram-devices.json", "zram0-")]
    [InlineData("handles-lsblk-returning-size-as-string-vs-number.json", "sda+")]
    [InlineData("loop-devices-get-fallback-description-when-label-vendor-model-are-empty.json", "loop0-")]
    [InlineData("marks-loop-devices-as-virtual-even-with-empty-subsystems-lsblk-bug.json", "loop1-")]
    [InlineData("marks-nvme-as-system-in-non-embedded-mode.json", "nvme0n1-")]
    [InlineData("no-children-mountpoints.json", "sda+ nvme0n1-")]
    [InlineData("parses-sd-card-in-internal-reader.json", "mmcblk0+")]
    [InlineData("usb-stick.json", "sda+")]
    [InlineData("qemu-debian12.json", "sda+ sdb+ sdc+ sdd+ sde+ sdf- sdg+ sdh+ sr0- mmcblk0+ vda+ nvme0n1+")]
    public void Recorded_machines_are_judged_rightly(string recording, string expected)
    {
        var facts = Lsblk(Resource("recorded." + recording));
        foreach (var word in expected.Split(' '))
        {
            var verdict = Judge.Verdict(facts.Disks.Single(d => d.Node == word[..^1]), facts);
            Assert.True(verdict.Ok == (word[^1] == '+'), $"{recording}: {word} but {string.Join("; ", verdict.Reasons.Select(r => r.Text))}");
        }
    }

    /// <summary>What lsblk --json tells, as facts: only what is recorded, so uses that it does not show are not there either.</summary>
    private static SystemFacts Lsblk(string json)
    {
        List<Disk> disks = [];
        List<Node> nodes = [];
        List<Use> uses = [];
        foreach (var device in JsonDocument.Parse(json).RootElement.GetProperty("blockdevices").EnumerateArray()) Add(device, null);
        return new SystemFacts { Disks = disks, Nodes = nodes, Uses = uses };

        void Add(JsonElement device, string? on)
        {
            string Text(string key) => device.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value.ToString() : "";
            bool Flag(string key) => Text(key) is "True" or "1" or "true";
            var name = (Text("kname") is { Length: > 0 } kernel ? kernel : Text("name")).Replace("/dev/", "");
            var subsystems = Text("subsystems");
            var kind = Text("type") switch
            {
                "part" => NodeKind.Partition,
                "rom" => NodeKind.Optical,
                "loop" => NodeKind.Loop,
                "crypt" or "lvm" or "mpath" => NodeKind.Mapped,
                "disk" when name.StartsWith("ram") || name.StartsWith("zram") => NodeKind.Ram,
                "disk" when name.Contains("boot") => NodeKind.HardwarePartition,
                "disk" => NodeKind.Disk,
                _ => NodeKind.Unknown,
            };
            if (kind == NodeKind.Loop) nodes.Add(new Node("file:" + name, NodeKind.File, []));
            nodes.Add(new Node(name, kind, on is not null ? [on] : kind == NodeKind.Loop ? ["file:" + name] : []));
            if (on is null)
                disks.Add(new Disk
                {
                    Device = "/dev/" + name, Node = name, Size = 1 << 30, ReadOnly = Flag("ro"), Removable = kind != NodeKind.Loop && (Flag("rm") || subsystems.Contains("usb") || subsystems.Contains("mmc")),
                    Transport = kind == NodeKind.Loop ? "loop" : subsystems.Contains("usb") ? "usb" : subsystems.Contains("mmc") ? "sd" : "",
                });
            if (Text("mountpoint") is { Length: > 0 } at) uses.Add(new Use(name, at == "[SWAP]" ? UseKind.Swap : UseKind.Mount, at));
            if (device.TryGetProperty("children", out var children))
                foreach (var child in children.EnumerateArray()) Add(child, name);
        }
    }
}
