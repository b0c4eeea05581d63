using OsBuild.Images;
using OsBuild.Images.Fat;
using OsBuild.Tests.Images;
using OsBuild.Tests.Images.Fat;

namespace OsBuild.OracleTests.Images;

public sealed class FatOracleTests
{
    public static TheoryData<FatKind> Kinds => [FatKind.Fat12, FatKind.Fat16, FatKind.Fat32];

    /// <summary>1 MB to 2 TB. Every step of 8/7 has its turn in the nightly run; here every third, from a start that differs by kind.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Fsck_is_silent_at_every_size(FatKind kind)
    {
        using var folder = new TempFolder();
        var judged = 0;
        var step = Fuzz.Times > 1 ? 1 : 3;
        for (var (i, d) = ((int)kind % 3, 1_000_000.0); d <= 2e12; d = d * 8 / 7, i++)
        {
            if (i % step != 0) continue;
            var options = Volumes.Options(kind, (long)d / 512 * 512);
            if (TryLayout(options) is not { } layout) continue;
            // fsck reads a whole table: 256 MiB of it at 2 TB.
            Write(folder["volume"], layout, Volumes.Tree().Take(layout.Clusters > 500 ? 7 : 2).ToDictionary());
            MustBeClean(folder["volume"]);
            judged++;
        }

        Assert.InRange(judged, 10, 200);
    }

    [Theory]
    [InlineData(FatKind.Fat12, 4083)]
    [InlineData(FatKind.Fat12, 4084)]
    [InlineData(FatKind.Fat16, 4085)]
    [InlineData(FatKind.Fat16, 4086)]
    [InlineData(FatKind.Fat16, 65523)]
    [InlineData(FatKind.Fat16, 65524)]
    [InlineData(FatKind.Fat32, 65525)]
    [InlineData(FatKind.Fat32, 65526)]
    public void Fsck_agrees_at_the_borders_between_the_kinds(FatKind kind, uint clusters)
    {
        using var folder = new TempFolder();
        var layout = Enumerable.Range(0, 4000)
            .Select(i => TryLayout(Volumes.Options(kind, Volumes.SizeNear(kind, clusters, i)) with { ClusterSize = 512 }))
            .First(l => l?.Clusters == clusters)!;
        Write(folder["volume"], layout, Volumes.Tree());
        var report = Judge.Run("fsck.fat", "-n", "-v", folder["volume"]).MustPass("fsck.fat").Output;
        Assert.Contains($"{(int)kind} bit entries", report);
        Assert.Contains($"/{clusters} clusters", report);
        MustBeClean(folder["volume"]);
        Assert.Contains("bytes", Judge.Run("minfo", "-i", folder["volume"], "::").MustPass("minfo").Output);
    }

    [Theory]
    [InlineData(FatKind.Fat12)]
    [InlineData(FatKind.Fat16)]
    [InlineData(FatKind.Fat32)]
    public void Mtools_reads_every_file_of_random_trees(FatKind kind)
    {
        using var folder = new TempFolder();
        for (var seed = 0; seed < 6 * Fuzz.Times; seed++)
        {
            var files = RandomTree(new Random(seed), kind);
            Write(folder["volume"], FatLayout.For(Volumes.Options(kind, 2 * Volumes.SmallSize(kind), label: seed % 2 == 0 ? "" : "BOOT 1")), files);
            MustBeClean(folder["volume"]);
            Judge.Run("mdir", "-/", "-i", folder["volume"], "::").MustPass("mdir");
            Volumes.AssertSame(files, CopiedOut(folder, seed));
        }
    }

    [Fact]
    public void The_kernel_reads_every_file()
    {
        Assert.SkipUnless(Judge.IsRoot, "Mounting needs root.");
        Assert.SkipUnless(File.ReadAllText("/proc/filesystems").Contains("vfat") || Judge.Run("modprobe", "vfat").ExitCode == 0, "This kernel has no vfat.");
        using var folder = new TempFolder();
        foreach (var kind in Kinds.Select(k => k.Data))
        {
            Write(folder["volume"], FatLayout.For(Volumes.Options(kind, Volumes.SmallSize(kind))), Volumes.Tree());
            Directory.CreateDirectory(folder["mnt"]);
            Judge.Run("mount", "-o", "loop,ro,iocharset=utf8,tz=UTC", folder["volume"], folder["mnt"]).MustPass("mount");
            try
            {
                Volumes.AssertSame(Volumes.Tree(), FilesOf(folder["mnt"]));
            }
            finally
            {
                Judge.Run("umount", folder["mnt"]).MustPass("umount");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Reads_volumes_that_mkfs_and_mcopy_made(FatKind kind)
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["in"]);
        var files = RandomTree(new Random(77), kind).Where(f => f.Value.Length < 100_000).ToDictionary();
        foreach (var (path, content) in files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder["in"], path))!);
            File.WriteAllBytes(Path.Combine(folder["in"], path), content);
        }

        using (var file = File.Create(folder["volume"])) file.SetLength(2 * Volumes.SmallSize(kind));
        Judge.Run("mkfs.fat", "-F", $"{(int)kind}", "-n", "FOREIGN", folder["volume"]).MustPass("mkfs.fat");
        Judge.Run("mcopy", ["-s", "-i", folder["volume"], .. Directory.GetFileSystemEntries(folder["in"]), "::"]).MustPass("mcopy");
        using (var volume = File.OpenRead(folder["volume"]))
        {
            Assert.Equal("FOREIGN", new FatReader(volume).Label);
            Assert.Empty(new FatReader(volume).Check());
            Volumes.AssertSame(files, Volumes.ReadAll(volume));
        }

        using (var volume = File.Open(folder["volume"], FileMode.Open)) new FatEditor(volume).WriteFile("added/config.yaml", "x: 1\n"u8, Volumes.Time);
        MustBeClean(folder["volume"]);
        Assert.Equal("x: 1\n", Judge.Run("mtype", "-i", folder["volume"], "::added/config.yaml").MustPass("mtype").Output);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Fsck_is_silent_after_random_edits(FatKind kind)
    {
        using var folder = new TempFolder();
        for (var seed = 0; seed < 3 * Fuzz.Times; seed++)
        {
            var random = new Random(seed);
            var files = RandomTree(random, kind).Where(f => f.Value.Length < 100_000).ToDictionary();
            Write(folder["volume"], FatLayout.For(Volumes.Options(kind, 2 * Volumes.SmallSize(kind))), files);
            using (var volume = File.Open(folder["volume"], FileMode.Open))
                for (var edit = 0; edit < 40; edit++) Edit(new FatEditor(volume), files, random);
            MustBeClean(folder["volume"]);
            Volumes.AssertSame(files, CopiedOut(folder, seed));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Fsck_is_silent_after_a_thousand_rewrites_of_one_file(FatKind kind)
    {
        using var folder = new TempFolder();
        Write(folder["volume"], FatLayout.For(Volumes.Options(kind, Volumes.SmallSize(kind))), Volumes.Tree());
        using (var volume = File.Open(folder["volume"], FileMode.Open))
            for (var i = 0; i < 1000; i++) new FatEditor(volume).WriteFile("config.yaml", Volumes.Bytes(i, 100 + (i % 5 * 700)), Volumes.Time + i);
        MustBeClean(folder["volume"]);
    }

    /// <summary>After a cut, fsck may find what costs free space only; with that reclaimed, the volume must be clean.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Fsck_finds_only_lost_space_after_a_cut_at_any_write(FatKind kind)
    {
        using var folder = new TempFolder();
        var options = Volumes.Options(kind, kind == FatKind.Fat32 ? 34 * Volumes.MiB : Volumes.SmallSize(kind));
        var before = Volumes.Written(options, Volumes.Tree());
        foreach (var path in new[] { "config.yaml", "some new/folder/with a long file name.txt" })
        {
            var after = before.Clone();
            after.Logs = true;
            new FatEditor(after).WriteFile(path, Volumes.Bytes(9, 3000), Volumes.Time);
            var disk = before.Clone();
            foreach (var (offset, bytes) in after.Log)
            {
                disk.Apply(offset, bytes);
                Save(disk, folder["volume"]);
                var report = Judge.Run("fsck.fat", "-n", folder["volume"]).Output;
                foreach (var line in report.Split('\n').Skip(1).Where(l => !IsHarmless(l, folder["volume"]))) Assert.Fail($"{kind} {path}: {line}\n{report}");
            }
        }
    }

    [Fact]
    public void Check_finds_what_fsck_finds()
    {
        using var folder = new TempFolder();
        var random = new Random(5);
        var (ours, theirs, both) = (0, 0, 0);
        for (var turn = 0; turn < 60 * Fuzz.Times; turn++)
        {
            var kind = turn % 2 == 0 ? FatKind.Fat12 : FatKind.Fat16;
            var disk = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), Volumes.Tree());
            var g = FatLayout.For(Volumes.Options(kind, Volumes.SmallSize(kind))).Geometry;
            // Damage where it matters: the first entries of the tables and the directories.
            var at = random.Next(2) == 0 ? g.FatOffset(random.Next(2)) + random.Next(150) : g.RootOffset + random.Next(600);
            disk.Apply(at, [(byte)(disk.ReadAt(at, 1)[0] ^ (1 << random.Next(8)))]);
            Save(disk, folder["volume"]);
            var foundByFsck = Judge.Run("fsck.fat", "-n", folder["volume"]).ExitCode != 0;
            bool foundByUs;
            try
            {
                foundByUs = new FatReader(disk).Check().Any();
            }
            catch (ImageException)
            {
                foundByUs = true;
            }

            ours += foundByUs ? 1 : 0;
            theirs += foundByFsck ? 1 : 0;
            both += foundByUs && foundByFsck ? 1 : 0;
        }

        Assert.True(both >= theirs * 9 / 10, $"fsck found {theirs}, we found {ours}, both {both}");
        Assert.True(theirs > 10, "the damage is worth finding");
    }

    private static bool IsHarmless(string line, string volume) =>
        line.Trim().Length == 0 || line.StartsWith(volume) || line.Contains("Free cluster summary uninitialized") || line.Contains("Setting it")
        || line.Contains("Reclaimed") || line.Contains("Reclaiming") || line.Contains("unused cluster") || line.Contains("Leaving filesystem unchanged")
        || line.Contains("FATs differ but appear to be intact") || line.Contains("Using first FAT") || line.Contains("Orphaned long file name part") || line.Contains("Auto-deleting");

    private static void Edit(FatEditor editor, Dictionary<string, byte[]> files, Random random)
    {
        var path = random.Next(3) == 0 ? $"new {random.Next(5)}/file with a long name {random.Next(40)}.conf" : files.Keys.ElementAt(random.Next(files.Count));
        if (random.Next(5) == 0)
        {
            editor.Delete(path);
            files.Remove(path);
            return;
        }

        files[path] = Volumes.Bytes(random.Next(), random.Next(4) == 0 ? 0 : random.Next(9000));
        editor.WriteFile(path, files[path], Volumes.Time);
    }

    private static Dictionary<string, byte[]> RandomTree(Random random, FatKind kind)
    {
        string[] names = ["README", "kernel8.img", "x", "a.tar.gz", "UPPER.TXT", "long name with spaces.and.dots", "überraschung", "日本語の名前.txt", "bcm2711-rpi-4-b.dtb", "EFI"];
        var files = new Dictionary<string, byte[]>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < 60; i++)
        {
            var depth = random.Next(4);
            var path = string.Concat(Enumerable.Range(0, depth).Select(d => $"dir {random.Next(3)} of {d}/")) + $"{random.Next(30)}{names[random.Next(names.Length)]}";
            files[path] = Volumes.Bytes(i, random.Next(4) switch { 0 => 0, 1 => random.Next(600), 2 => random.Next(20_000), _ => kind == FatKind.Fat12 ? 10 : random.Next(300_000) });
        }

        return files;
    }

    private static Dictionary<string, byte[]> CopiedOut(TempFolder folder, int turn)
    {
        var target = folder[$"out{turn}"];
        Directory.CreateDirectory(target);
        Judge.Run("mcopy", "-s", "-n", "-i", folder["volume"], "::", target).MustPass("mcopy");
        return FilesOf(target);
    }

    private static Dictionary<string, byte[]> FilesOf(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(f => Path.GetRelativePath(folder, f), File.ReadAllBytes);

    private static FatLayout? TryLayout(FatOptions options)
    {
        try
        {
            return FatLayout.For(options);
        }
        catch (ImageException)
        {
            return null;
        }
    }

    private static void Write(string path, FatLayout layout, IReadOnlyDictionary<string, byte[]> files)
    {
        File.Delete(path);
        using var file = File.Create(path);
        file.SetLength(layout.Options.Size);
        var writer = new FatWriter(file, layout);
        foreach (var (name, content) in files) writer.AddFile(name, content.Length, new MemoryStream(content));
        writer.Finish();
    }

    private static void Save(SparseStream disk, string path)
    {
        using var file = File.Create(path);
        disk.Position = 0;
        disk.CopyTo(file);
    }

    /// <summary>Two lines: its version and the summary. Anything else is a complaint.</summary>
    private static void MustBeClean(string path)
    {
        var report = Judge.Run("fsck.fat", "-n", path).MustPass("fsck.fat -n").Output;
        Assert.True(report.Trim().Split('\n').Length == 2, report);
    }
}
