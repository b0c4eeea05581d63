using OsBuild.ImageBuilder.Boards;
using OsBuild.Images.Partitions;

namespace OsBuild.Tests.Builder.Boards;

/// <summary>The form is one thing told four times: to the reader, the schema, the page of keys and the words. Here they are held against each other.</summary>
public sealed class BoardFormTests
{
    [Fact]
    public void The_reader_reads_every_key_of_the_form()
    {
        var diagnostics = new List<Diagnostic>();
        var file = BoardYaml.Read(new StringReader(BoardFiles.Text("Everything.yaml")), "everything", diagnostics)!;
        FormCheck.Check(file, BoardForm.Root, "", diagnostics);
        Assert.Empty(diagnostics);
        var reader = new BoardReader();
        reader.Read(file);
        Assert.Equal(Keys(BoardForm.Root, "").Order(StringComparer.Ordinal), reader.Asked.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_file_of_everything_has_every_key()
    {
        var file = BoardYaml.Read(new StringReader(BoardFiles.Text("Everything.yaml")), "everything", [])!;
        var given = new SortedSet<string>(StringComparer.Ordinal);
        Walk(file, "", given);
        Assert.Equal(Keys(BoardForm.Root, "").Order(StringComparer.Ordinal), given.Order(StringComparer.Ordinal));

        static void Walk(YamlNode node, string path, ISet<string> given)
        {
            if (node is YamlNode.List list) foreach (var item in list.Items) Walk(item, path, given);
            if (node is not YamlNode.Map map) return;
            foreach (var entry in map.Entries)
            {
                var below = path.Length == 0 ? entry.Key : $"{path}.{entry.Key}";
                given.Add(below);
                Walk(entry.Value, below, given);
            }
        }
    }

    [Fact]
    public void Values_arrive_where_they_belong()
    {
        var (board, _) = BoardFile.Read(new StringReader(BoardFiles.Text("Everything.yaml")), "everything");
        Assert.Equal(MediumKind.Install, board!.Medium.Kind);
        Assert.Equal(["bzImage", "bzImage-everything.bin"], board.Artifacts.Kernel.Files);
        var place = Assert.IsType<BlobPlace.AtOffset>(board.Firmware[0].Place);
        Assert.Equal((0x8000L, 512L, 1024L), (place.Offset, place.Skip, place.Length!.Value));
        Assert.Equal([new ByteRange(440, 72)], place.Preserve);
        Assert.Equal(new BlobPlace.InPartition("fsbl1"), board.Firmware[1].Place);
        Assert.Equal(new BlobPlace.InBootFile("c.bin"), board.Firmware[2].Place);
        Assert.Equal([new ByteRange(0x3f8000, 0x8000), new ByteRange(0x400000, 0x8000)], board.Boot.Environment!.Ranges);
        Assert.Equal("ttyS0,115200", board.Boot.Consoles[0].ToString());
        Assert.Equal(64, board.Table.EntriesLba);
        Assert.Equal(QemuDisk.Nvme, board.Qemu!.Disk);
        Assert.True(board.Slots.FatRename);
        Assert.Equal(32, board.Places["boot.consoles[0].baud"].Line);
    }

    [Fact]
    public void Every_value_of_every_enum_has_one_word()
    {
        OneEach(Words.Arch);
        OneEach(Words.Status);
        OneEach(Words.MediumKind);
        OneEach(Words.Bus);
        OneEach(Words.Kernel);
        OneEach(Words.Table);
        OneEach(Words.FirmwareHome);
        OneEach(Words.Role);
        OneEach(Words.FileSystem);
        OneEach(Words.Flow);
        OneEach(Words.Loader);
        OneEach(Words.RootBy);
        OneEach(Words.EnvironmentHome);
        OneEach(Words.Scheme);
        OneEach(Words.Store);
        OneEach(Words.QemuFirmware);
        OneEach(Words.QemuDisk);

        static void OneEach<T>(Words<T> words)
            where T : struct, Enum
        {
            Assert.Equal(Enum.GetValues<T>().Order(), words.All.Select(w => w.Value).Order());
            Assert.Equal(words.All.Count, words.All.Select(w => w.Word).Distinct().Count());
            foreach (var (word, value, _) in words.All) Assert.Equal((word, (T?)value), (words.Of(value), words.Find(word)));
        }
    }

    [Theory]
    [InlineData("kernal", "kernel")]
    [InlineData("knerel", "kernel")]
    [InlineData("KERNEL", "kernel")]
    [InlineData("kern", null)]
    [InlineData("colour", null)]
    public void The_nearest_word_is_a_slip_of_the_hand_away(string word, string? nearest) => Assert.Equal(nearest, Nearest.To(word, ["kernel", "rootfs", "modules"]));

    [Fact]
    public void A_board_replaces_lists_and_completes_maps_of_its_family()
    {
        var board = Read("schema: 1\nextends: fam\nname: x\nboot: {loader: grub}\nlist: [c]\n", "boot: {flow: uefi, loader: uki}\nlist: [a, b]\nonly: 1\n");
        Assert.Equal("uefi", ((YamlNode.Scalar)((YamlNode.Map)board["boot"]!)["flow"]!).Text);
        Assert.Equal("grub", ((YamlNode.Scalar)((YamlNode.Map)board["boot"]!)["loader"]!).Text);
        Assert.Single(((YamlNode.List)board["list"]!).Items);
        Assert.NotNull(board["only"]);

        static YamlNode.Map Read(string child, string parent) => BoardYaml.Merge(
            BoardYaml.Read(new StringReader(parent), "p", [])!, BoardYaml.Read(new StringReader(child), "c", [])!);
    }

    [Fact]
    public void A_family_may_not_extend_another()
    {
        var (board, diagnostics) = BoardFile.Read(new StringReader("schema: 1\nextends: a\n"), "X", _ => (new StringReader("extends: b\n"), "a.yaml"));
        Assert.Null(board);
        Assert.Contains(diagnostics, d => d.ToString() == "a.yaml:1: the family `a` extends another; a family stands on its own: write its keys out.");
    }

    private static IEnumerable<string> Keys(FormType.Map map, string path)
    {
        foreach (var key in map.Keys)
        {
            var name = path + key.Name;
            yield return name;
            var below = key.Type switch { FormType.Map m => m, FormType.List { Item: FormType.Map m } => m, _ => null };
            foreach (var k in below is null ? [] : Keys(below, name + ".")) yield return k;
        }
    }
}
