using OsBuild.Images;
using OsBuild.Images.Fat;

namespace OsBuild.Tests.Images.Fat;

public sealed class FatEditorTests
{
    public static TheoryData<FatKind> Kinds => FatWriterTests.Kinds;

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Replaces_adds_and_deletes_files(FatKind kind)
    {
        var files = Volumes.Tree();
        var volume = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), files);
        var editor = new FatEditor(volume);
        Write("config.yaml", Volumes.Bytes(5, 30_000));
        Write("config.yaml", "short\n"u8.ToArray());
        Write("EFI/BOOT/BOOTX64.EFI", []);
        Write("new folder/deeper/and deeper/a new file with a long name.txt", Volumes.Bytes(6, 700));
        Write("loader/entries/slot-b.conf", "title b\n"u8.ToArray());
        editor.Delete("zeros.bin");
        files.Remove("zeros.bin");
        editor.Delete("loader/nothing.here");
        editor.Delete("no/such/folder");
        Assert.Empty(new FatReader(volume).Check());
        Volumes.AssertSame(files, Volumes.ReadAll(volume));

        void Write(string path, byte[] content)
        {
            editor.WriteFile(path, content, Volumes.Time + 100);
            files[path] = content;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Many_repeats_leave_the_volume_clean(FatKind kind)
    {
        var volume = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), Volumes.Tree());
        var free = new FatReader(volume).Used;
        for (var i = 0; i < 200 * Fuzz.Times; i++) new FatEditor(volume).WriteFile("config.yaml", Volumes.Bytes(i, 100 + (i % 3 * 700)), Volumes.Time + i);
        new FatEditor(volume).WriteFile("config.yaml", "hostname: test\n"u8, Volumes.Time);
        Assert.Empty(new FatReader(volume).Check());
        Assert.Equal(free, new FatReader(volume).Used);
        Volumes.AssertSame(Volumes.Tree(), Volumes.ReadAll(volume));
    }

    [Fact]
    public void Writes_nothing_when_the_file_has_that_content_already()
    {
        var volume = Volumes.Written(Volumes.Options(FatKind.Fat32, 40 * Volumes.MiB), Volumes.Tree());
        volume.OnWrite = (_, _) => Assert.Fail("nothing should be written");
        new FatEditor(volume).WriteFile("config.yaml", Volumes.Tree()["config.yaml"], Volumes.Time + 5);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_is_in_use_is_all_that_must_reach_another_medium(FatKind kind)
    {
        var volume = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), Volumes.Tree());
        var editor = new FatEditor(volume);
        editor.Delete("EFI/BOOT/BOOTX64.EFI");
        editor.WriteFile("new.bin", new byte[100_000], Volumes.Time);
        // The other medium holds rubbish wherever nothing is written.
        var other = new SparseStream(volume.Length);
        other.Apply(0, Enumerable.Repeat((byte)0xD1, (int)volume.Length).ToArray());
        foreach (var (offset, length) in new FatReader(volume).UsedExtents()) other.Apply(offset, volume.ReadAt(offset, (int)length));
        Assert.Empty(new FatReader(other).Check());
        Volumes.AssertSame(Volumes.ReadAll(volume), Volumes.ReadAll(other));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Lets_directories_grow(FatKind kind)
    {
        var files = Volumes.Tree();
        var volume = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), files);
        for (var i = 0; i < 150; i++)
        {
            var path = $"{(kind == FatKind.Fat32 && i % 2 == 0 ? "" : "loader/entries/")}an entry with a long name, number {i}.conf";
            new FatEditor(volume).WriteFile(path, [(byte)i], Volumes.Time);
            files[path] = [(byte)i];
        }

        Assert.Empty(new FatReader(volume).Check());
        Volumes.AssertSame(files, Volumes.ReadAll(volume));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Refuses_what_does_not_fit_before_it_writes_anything(FatKind kind)
    {
        var volume = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), Volumes.Tree());
        volume.OnWrite = (_, _) => Assert.Fail("nothing should be written");
        var editor = new FatEditor(volume);
        Assert.Contains("short by", Assert.Throws<ImageException>(() => editor.WriteFile("new/big.bin", new byte[volume.Length], 0)).Message);
        Assert.Throws<ImageException>(() => editor.WriteFile("EFI", [1], 0));
        Assert.Throws<ImageException>(() => editor.WriteFile("config.yaml/x", [1], 0));
        Assert.Throws<ImageException>(() => editor.WriteFile("bad:name", [1], 0));
        Assert.Throws<ImageException>(() => editor.Delete("EFI/BOOT"));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_cut_after_any_write_leaves_the_old_file_or_the_new_one(FatKind kind)
    {
        var before = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), Volumes.Tree());
        var random = new Random(3);
        for (var turn = 0; turn < 12 * Fuzz.Times; turn++)
        {
            var old = Volumes.ReadAll(before);
            var paths = old.Keys.Append($"added/in turn {turn}/file.txt").Append($"loader/entries/a long name to make it grow {turn}.conf").ToList();
            var path = paths[random.Next(paths.Count)];
            byte[]? content = random.Next(5) == 0 && old.ContainsKey(path) ? null : Volumes.Bytes(turn, random.Next(6000));
            var after = before.Clone();
            after.Logs = true;
            if (content is null) new FatEditor(after).Delete(path);
            else new FatEditor(after).WriteFile(path, content, Volumes.Time);
            CheckCuts(before, after.Log, old, path, content);
            Assert.Empty(new FatReader(after).Check());
            before = after.Clone();
        }
    }

    private static void CheckCuts(SparseStream before, List<(long Offset, byte[] Bytes)> log, Dictionary<string, byte[]> old, string path, byte[]? content)
    {
        var disk = before.Clone();
        var switched = false;
        foreach (var (offset, bytes) in log)
        {
            disk.Apply(offset, bytes);
            var now = Volumes.ReadAll(disk);
            var isNew = content is null ? !now.ContainsKey(path) : now.TryGetValue(path, out var c) && c.AsSpan().SequenceEqual(content);
            Assert.True(isNew || !switched, "it does not go back");
            switched |= isNew && !(content is not null && old.TryGetValue(path, out var o) && o.AsSpan().SequenceEqual(content));
            if (!isNew) Volumes.AssertSame(old, now);
            else Volumes.AssertSame(old.Where(f => f.Key != path).ToDictionary(), now.Where(f => f.Key != path).ToDictionary());
            Assert.DoesNotContain(new FatReader(disk).Check(), f => f.Contains("belongs to another") || f.Contains("marked as free") || f.Contains("FSInfo counts"));
        }
    }
}
