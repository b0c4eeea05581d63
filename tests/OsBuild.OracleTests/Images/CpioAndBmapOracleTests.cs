using OsBuild.Images.Bmap;
using OsBuild.Images.Cpio;
using OsBuild.Images.Trees;
using OsBuild.Tests.Images.Fat;

namespace OsBuild.OracleTests.Images;

public sealed class CpioAndBmapOracleTests
{
    /// <summary>What the test image holds: whole blocks, so that holes and what was not written are the same thing.</summary>
    private static readonly (long Offset, long Length)[] Extents = [(0, 4096), (4_988_928, 81_920), (12 << 20, 1 << 20), (20 << 20, 1000)];

    [Fact]
    public void Cpio_lists_and_unpacks_our_archive()
    {
        using var folder = new TempFolder();
        var content = Volumes.Bytes(1, 100_001);
        using (var file = File.Create(folder["a.cpio"]))
        {
            var writer = new CpioWriter(file);
            writer.Add(new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED }, Stream.Null);
            writer.Add(new Node { Path = "lib", Kind = NodeKind.Directory, Mode = 0x1ED }, Stream.Null);
            writer.Add(new Node { Path = "lib/file", Kind = NodeKind.File, Mode = 0x9ED, Uid = 12, Gid = 34, ModifiedAt = 1302044400, Size = content.Length }, new MemoryStream(content));
            writer.Add(new Node { Path = "lib/link", Kind = NodeKind.Symlink, Mode = 0x1FF, LinkTarget = "../lib/file" }, Stream.Null);
            writer.Add(new Node { Path = "console", Kind = NodeKind.CharDevice, Mode = 0x180, Major = 5, Minor = 1 }, Stream.Null);
            writer.Add(new Node { Path = "nothing", Kind = NodeKind.File }, Stream.Null);
            writer.Finish();
        }

        Assert.Equal([".", "lib", "lib/file", "lib/link", "console", "nothing"], Lines(Judge.Run("sh", "-c", $"cpio --quiet -it < {folder["a.cpio"]}").MustPass("cpio -it").Output));
        var details = Judge.Run("sh", "-c", $"cpio --quiet -itvn < {folder["a.cpio"]}").MustPass("cpio -itvn").Output;
        Assert.Contains("lib/link -> ../lib/file", details);
        Assert.Matches("crw------- .* 5, +1 .*console", details);
        Assert.Matches("-rwsr-xr-x +1 +12 +34 +100001 .*lib/file", details);
        Directory.CreateDirectory(folder["out"]);
        Judge.Run("sh", "-c", $"cd {folder["out"]} && cpio --quiet -i --no-absolute-filenames 'lib*' < {folder["a.cpio"]}").MustPass("cpio -i");
        Assert.Equal(content, File.ReadAllBytes(Path.Combine(folder["out"], "lib/file")));
    }

    [Fact]
    public void Reads_what_cpio_makes_hard_links_included()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["in"]);
        File.WriteAllText(Path.Combine(folder["in"], "a"), "hello");
        Judge.Run("ln", Path.Combine(folder["in"], "a"), Path.Combine(folder["in"], "b")).MustPass("ln");
        Judge.Run("ln", "-s", "a", Path.Combine(folder["in"], "c")).MustPass("ln");
        Judge.Run("sh", "-c", $"cd {folder["in"]} && printf '.\\na\\nb\\nc\\n' | cpio --quiet -o -H newc > {folder["a.cpio"]}").MustPass("cpio -o");
        using var archive = File.OpenRead(folder["a.cpio"]);
        var nodes = CpioReader.Read(archive).Select(e => e.Node).ToList();
        Assert.Equal(["", "a", "b", "c"], nodes.Select(n => n.Path));
        Assert.Equal("a", nodes[3].LinkTarget);
    }

    [Fact]
    public void Bmaptool_copies_with_our_map_and_checks_its_digests()
    {
        using var folder = new TempFolder();
        MakeImage(folder["image"]);
        using (var image = File.OpenRead(folder["image"]))
        using (var xml = File.Create(folder["image.bmap"])) BlockMapScan.Scan(image, Extents).WriteXml(xml);
        Judge.Run("bmaptool", "copy", "--bmap", folder["image.bmap"], folder["image"], folder["copy"]).MustPass("bmaptool copy");
        Assert.Equal(File.ReadAllBytes(folder["image"]), File.ReadAllBytes(folder["copy"])[..(int)new FileInfo(folder["image"]).Length]);

        // One changed byte in a mapped block must be found by its digest.
        using (var image = File.OpenWrite(folder["image"]))
        {
            image.Position = 5_000_001;
            image.WriteByte(0xD1);
        }

        Assert.NotEqual(0, Judge.Run("bmaptool", "copy", "--bmap", folder["image.bmap"], folder["image"], folder["copy"]).ExitCode);
    }

    [Fact]
    public void We_map_what_bmaptool_maps()
    {
        using var folder = new TempFolder();
        MakeImage(folder["image"]);
        Judge.Run("bmaptool", "create", "-o", folder["theirs.bmap"], folder["image"]).MustPass("bmaptool create");
        using var xml = File.OpenRead(folder["theirs.bmap"]);
        var theirs = BlockMap.ReadXml(xml);
        using var image = File.OpenRead(folder["image"]);
        var ours = BlockMapScan.Scan(image, Extents);
        Assert.Equal(theirs.ImageSize, ours.ImageSize);
        Assert.Equal(theirs.Ranges, ours.Ranges);
    }

    private static void MakeImage(string path)
    {
        using var file = File.Create(path);
        file.SetLength((20 << 20) + 1000);
        foreach (var (offset, size) in Extents)
        {
            file.Position = offset;
            file.Write(Volumes.Bytes((int)offset, (int)size));
        }
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
