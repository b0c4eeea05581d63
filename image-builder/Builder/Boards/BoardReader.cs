using System.Diagnostics;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>Turns a file that fits the form into a <see cref="Board"/>. Defaults are filled in here, and nowhere else.</summary>
internal sealed class BoardReader
{
    /// <summary>A map of the file with its part of the form: asking for a key the form lacks is a mistake of this program.</summary>
    private sealed record Section(YamlNode.Map Map, FormType.Map Form, string Path, BoardReader Reader)
    {
        public YamlNode? this[string key]
        {
            get
            {
                if (!Array.Exists(Form.Keys, k => k.Name == key)) throw new UnreachableException($"the form has no {Path}.{key}");
                Reader.Asked.Add(Path.Length == 0 ? key : $"{Path}.{key}");
                return Map[key];
            }
        }

        public string? TextOrNull(string key) => (this[key] as YamlNode.Scalar)?.Text;

        public string Text(string key) => TextOrNull(key) ?? throw new UnreachableException($"{Path}.{key} was checked to be there");

        public long? SizeOrNull(string key) => TextOrNull(key) is { } text ? FormCheck.ParseSize(text) : null;

        public long Size(string key) => SizeOrNull(key) ?? throw new UnreachableException($"{Path}.{key} was checked to be a size");

        public int? WholeOrNull(string key) => TextOrNull(key) is { } text ? int.Parse(text) : null;

        public bool? FlagOrNull(string key) => TextOrNull(key) is { } text ? text == "true" : null;

        public T? ChoiceOrNull<T>(string key, Words<T> words)
            where T : struct, Enum => TextOrNull(key) is { } text ? words.Find(text) : null;

        public T Choice<T>(string key, Words<T> words)
            where T : struct, Enum => ChoiceOrNull(key, words) ?? throw new UnreachableException($"{Path}.{key} was checked to be one of the words");

        public IReadOnlyList<string> Texts(string key) => this[key] switch
        {
            YamlNode.List list => [.. list.Items.OfType<YamlNode.Scalar>().Select(s => s.Text)],
            YamlNode.Scalar scalar => [scalar.Text],
            _ => [],
        };

        public Section? SectionOrNull(string key) =>
            this[key] is YamlNode.Map map ? new(map, (FormType.Map)Key(key).Type, Join(key), Reader) : null;

        public Section Of(string key) => SectionOrNull(key) ?? throw new UnreachableException($"{Path}.{key} was checked to be there");

        public IEnumerable<Section> Sections(string key)
        {
            if (this[key] is not YamlNode.List list) yield break;
            var item = (FormType.Map)((FormType.List)Key(key).Type).Item;
            foreach (var map in list.Items.OfType<YamlNode.Map>()) yield return new(map, item, Join(key), Reader);
        }

        private FormKey Key(string key) => Array.Find(Form.Keys, k => k.Name == key)!;

        private string Join(string key) => Path.Length == 0 ? key : $"{Path}.{key}";
    }

    /// <summary>The keys that were asked for, so that a test can prove none of the form is ignored.</summary>
    public ISet<string> Asked { get; } = new SortedSet<string>(StringComparer.Ordinal);

    /// <summary>Reads a file without mistakes of form.</summary>
    public Board Read(YamlNode.Map file)
    {
        var root = new Section(file, BoardForm.Root, "", this);
        _ = root["schema"];
        _ = root["extends"];
        var arch = root.Choice("arch", Words.Arch);
        var boot = ReadBoot(root.Of("boot"));
        var places = new Dictionary<string, Place>(StringComparer.Ordinal);
        NotePlaces(file, "", places);
        return new Board
        {
            Name = root.Text("name"),
            Title = root.Text("title"),
            Arch = arch,
            Machines = root.Texts("machines"),
            Layer = root.TextOrNull("layer"),
            Tune = root.TextOrNull("tune"),
            Medium = ReadMedium(root.Of("medium")),
            Artifacts = ReadArtifacts(root.Of("artifacts")),
            Table = ReadTable(root.Of("partition_table")),
            Firmware = [.. root.Sections("firmware").Select(ReadBlob)],
            ExternalFirmware = root.SectionOrNull("external_firmware") is { } external
                ? new(external.Choice("where", Words.FirmwareHome), external.TextOrNull("min_version"), external.TextOrNull("note")) : null,
            Partitions = ReadPartitions(root.Sections("partitions"), arch, boot.Flow),
            BootFiles = [.. root.Sections("boot_files").Select(f => new BootFile(f.Text("src"), f.Text("dest"), f.FlagOrNull("optional") ?? false))],
            Boot = boot,
            Slots = ReadSlots(root.Of("slots")),
            InitramfsModules = root.Texts("initramfs_modules"),
            Qemu = root.SectionOrNull("qemu") is { } qemu ? ReadQemu(qemu) : null,
            Status = root.Choice("status", Words.Status),
            Unproven = root.Texts("unproven"),
            Sources = root.Texts("sources"),
            Places = places,
        };
    }

    private static Medium ReadMedium(Section medium) => new(
        medium.ChoiceOrNull("kind", Words.MediumKind) ?? MediumKind.Run,
        [.. medium.Texts("bus").Select(b => Words.Bus.Find(b)!.Value)],
        medium.TextOrNull("device"));

    private static BoardArtifacts ReadArtifacts(Section artifacts)
    {
        var kernel = artifacts.Of("kernel");
        return new()
        {
            Kernel = new(kernel.Texts("file"), kernel.Choice("type", Words.Kernel)),
            DeviceTrees = [.. artifacts.Sections("dtbs").Select(t => ReadTree(t, ""))],
            Overlays = [.. artifacts.Sections("overlays").Select(t => ReadTree(t, "overlays/"))],
            Rootfs = ReadInput(artifacts.SectionOrNull("rootfs")),
            Modules = ReadInput(artifacts.SectionOrNull("modules")),
            Initramfs = ReadInput(artifacts.SectionOrNull("initramfs")),
            Microcode = ReadInput(artifacts.SectionOrNull("microcode")),
        };
    }

    private static Artifact? ReadInput(Section? input) => input is null ? null : new(input.Texts("file"), input.FlagOrNull("optional") ?? false);

    private static TreeArtifact ReadTree(Section tree, string folder) =>
        new(tree.Texts("file"), tree.FlagOrNull("optional") ?? false, tree.TextOrNull("dest") ?? folder);

    private static TableForm ReadTable(Section table) => new()
    {
        Kind = table.Choice("type", Words.Table),
        FirstOffset = table.SizeOrNull("first_offset") ?? 0,
        Alignment = table.SizeOrNull("alignment") ?? 4L << 20,
        SectorSize = table.WholeOrNull("sector_size") ?? 512,
        EntriesLba = table.WholeOrNull("entries_lba") ?? 2,
    };

    private static Blob ReadBlob(Section blob)
    {
        var (offset, partition, path) = (blob.SizeOrNull("offset"), blob.TextOrNull("partition"), blob.TextOrNull("path"));
        IReadOnlyList<ByteRange> preserve = [.. blob.Sections("preserve").Select(p => new ByteRange(p.Size("from"), p.Size("to") - p.Size("from")))];
        var at = new BlobPlace.AtOffset(offset ?? 0, blob.SizeOrNull("skip") ?? 0, blob.SizeOrNull("length"), preserve);
        return new()
        {
            Files = blob.Texts("file"),
            Place = partition is not null ? new BlobPlace.InPartition(partition) : path is not null ? new BlobPlace.InBootFile(path) : at,
            MaxSize = blob.SizeOrNull("max_size"),
            Optional = blob.FlagOrNull("optional") ?? false,
            Variant = blob.TextOrNull("variant"),
        };
    }

    private static List<BoardPartition> ReadPartitions(IEnumerable<Section> sections, BoardArch arch, BootFlow flow)
    {
        var partitions = new List<BoardPartition>();
        foreach (var section in sections)
        {
            var role = section.Choice("role", Words.Role);
            var rootA = partitions.Find(p => p.Role == PartitionRole.RootA);
            var ownType = PartitionTypes.Default(role, arch, flow);
            var given = section.TextOrNull("type") is { } text ? PartitionTypes.Parse(text)!.Value : ownType;
            partitions.Add(new()
            {
                Role = role,
                Name = section.TextOrNull("name") ?? Words.Role.Of(role),
                FileSystem = section.ChoiceOrNull("fs", Words.FileSystem) ?? role switch
                {
                    PartitionRole.Boot => FileSystemKind.Vfat,
                    PartitionRole.Reserved => FileSystemKind.None,
                    PartitionRole.RootB => rootA?.FileSystem ?? FileSystemKind.Ext4,
                    _ => FileSystemKind.Ext4,
                },
                Size = section.SizeOrNull("size") ?? (role == PartitionRole.RootB ? rootA?.Size ?? 0 : 0),
                Offset = section.SizeOrNull("offset"),
                GptType = given.Gpt == Guid.Empty ? ownType.Gpt : given.Gpt,
                Id = section.TextOrNull("id") is { } id ? Guid.Parse(id) : null,
                MbrType = given.Mbr == 0 ? ownType.Mbr : given.Mbr,
                Active = section.FlagOrNull("active") ?? false,
                Grow = section.FlagOrNull("grow") ?? role == PartitionRole.Data,
            });
        }

        return partitions;
    }

    private static BootForm ReadBoot(Section boot) => new()
    {
        Flow = boot.Choice("flow", Words.Flow),
        Loader = boot.Choice("loader", Words.Loader),
        LoaderFile = boot.SectionOrNull("loader_file") is { } file ? new(file.Texts("file"), file.Text("dest")) : null,
        Consoles = [.. boot.Sections("consoles").Select(c => new BoardConsole(c.Text("tty"), c.WholeOrNull("baud")))],
        KernelArgs = boot.Texts("kernel_args"),
        RootBy = boot.ChoiceOrNull("root_by", Words.RootBy) ?? RootBy.PartUuid,
        Environment = boot.SectionOrNull("environment") is { } env
            ? new()
            {
                Where = env.Choice("where", Words.EnvironmentHome),
                Offset = env.SizeOrNull("offset"),
                RedundantOffset = env.SizeOrNull("redundant_offset"),
                Size = env.SizeOrNull("size"),
            }
            : null,
        Rpi = boot.SectionOrNull("rpi") is { } rpi ? new(rpi.Text("kernel_name"), rpi.Texts("config_txt")) : null,
    };

    private static SlotForm ReadSlots(Section slots) => new()
    {
        Scheme = slots.Choice("scheme", Words.Scheme),
        Limit = slots.WholeOrNull("limit") ?? 3,
        Store = slots.ChoiceOrNull("store", Words.Store),
        Path = slots.TextOrNull("path"),
        FatRename = slots.FlagOrNull("fat_rename") ?? false,
    };

    private static QemuForm ReadQemu(Section qemu) => new()
    {
        Machine = qemu.Text("machine"),
        Cpu = qemu.TextOrNull("cpu"),
        Memory = qemu.Size("memory"),
        Firmware = qemu.Choice("firmware", Words.QemuFirmware),
        Disk = qemu.ChoiceOrNull("disk", Words.QemuDisk) ?? QemuDisk.Virtio,
        Proves = qemu.Text("proves"),
    };

    private static void NotePlaces(YamlNode node, string path, Dictionary<string, Place> places)
    {
        places[path] = node.Place;
        switch (node)
        {
            case YamlNode.Map map:
                foreach (var entry in map.Entries)
                {
                    var below = path.Length == 0 ? entry.Key : $"{path}.{entry.Key}";
                    NotePlaces(entry.Value, below, places);
                    places[below] = entry.Place;
                }

                return;
            case YamlNode.List list:
                for (var i = 0; i < list.Items.Count; i++) NotePlaces(list.Items[i], $"{path}[{i}]", places);
                return;
        }
    }
}
