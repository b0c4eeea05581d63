using OsBuild.Images;
using OsBuild.Images.Fat;

namespace OsBuild.Tests.Images.Fat;

/// <summary>Volumes that are not what they should be: what is wrong is named, and nothing hangs or leaves the volume.</summary>
public sealed class FatDamageTests
{
    public static TheoryData<FatKind> Kinds => FatWriterTests.Kinds;

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Damage_anywhere_ends_in_files_findings_or_one_clear_error(FatKind kind)
    {
        var options = Volumes.Options(kind, kind == FatKind.Fat32 ? 34 * Volumes.MiB : Volumes.SmallSize(kind));
        var good = Volumes.Written(options, Volumes.Tree());
        var g = FatLayout.For(options).Geometry;
        var random = new Random(11);
        for (var turn = 0; turn < (kind == FatKind.Fat32 ? 60 : 250) * Fuzz.Times; turn++)
        {
            var disk = good.Clone();
            for (var flips = random.Next(1, 6); flips > 0; flips--)
            {
                var at = random.Next(4) switch
                {
                    0 => random.Next(96),
                    1 => g.FatOffset(random.Next(2)) + random.Next(200),
                    2 => (kind == FatKind.Fat32 ? g.ClusterOffset(2) : g.RootOffset) + random.Next(600),
                    _ => g.ClusterOffset(2) + random.NextInt64(120_000),
                };
                disk.Apply(at, [random.Next(3) == 0 ? (byte)random.Next(256) : (byte)(disk.ReadAt(at, 1)[0] ^ (1 << random.Next(8)))]);
            }

            if (turn % 10 == 0) disk.SetLength(random.NextInt64(disk.Length));
            Only<ImageException>(() => Volumes.ReadAll(disk));
            Only<ImageException>(() => _ = new FatReader(disk).Check().Count());
            Only<ImageException>(() => _ = new FatReader(disk).Label + new FatReader(disk).Used);
            Only<ImageException>(() => new FatEditor(disk).WriteFile("loader/entries/slot-a.conf", Volumes.Bytes(turn, 3000), Volumes.Time));
            Only<ImageException>(() => new FatEditor(disk).Delete("EFI/BOOT/BOOTX64.EFI"));
        }
    }

    [Fact]
    public void Random_bytes_are_no_volume()
    {
        for (var seed = 0; seed < 500; seed++)
        {
            var bytes = Volumes.Bytes(seed, 2048);
            Assert.Throws<ImageException>(() => new FatReader(new MemoryStream(bytes[..(seed * 4)])));
        }
    }

    [Fact]
    public void Names_what_is_wrong()
    {
        var options = Volumes.Options(FatKind.Fat16, 16 * Volumes.MiB);
        var g = FatLayout.For(options).Geometry;
        Assert.Contains("belongs to another chain", Found(d => SetEntries(d, 2, 5)));
        Assert.Contains("marked as free", Found(d => SetEntries(d, 4, 0)));
        Assert.Contains("does not exist", Found(d => SetEntries(d, 4, 0xF000)));
        Assert.Contains("bad cluster", Found(d => SetEntries(d, 4, 0xFFF7)));
        Assert.Contains("its chain has", Found(d => SetEntries(d, 4, 0xFFFF)));
        Assert.Contains("belong to no file", Found(d => SetEntries(d, 4000, 0xFFFF)));
        Assert.Contains("differs from the one in use", Found(d => d.Apply(g.FatOffset(1) + 8, [1])));
        Assert.Contains("not cleanly unmounted", Found(d => d.Apply(VolumeFields.Fat16Offset + 1, [1])));
        Assert.Contains("signature", Found(d => d.Apply(510, [0])));
        Assert.Contains("belong to no file", Found(d => d.Apply(g.RootOffset + 64, [0xE5])));
        Assert.Contains("pieces of long names", Found(d => d.Apply(g.RootOffset + 64, [(byte)'X'])));

        string Found(Action<SparseStream> damage)
        {
            var disk = Volumes.Written(options, Volumes.Tree());
            damage(disk);
            return string.Join('\n', new FatReader(disk).Check());
        }

        void SetEntries(SparseStream disk, int cluster, ushort value)
        {
            for (var copy = 0; copy < 2; copy++) disk.Apply(g.FatOffset(copy) + (2 * cluster), [(byte)value, (byte)(value >> 8)]);
        }
    }

    [Fact]
    public void Finds_copies_of_FAT32_that_disagree()
    {
        var options = Volumes.Options(FatKind.Fat32, 40 * Volumes.MiB);
        foreach (var (offset, bytes, finding) in new[] { (6 * 512L, new byte[] { 0 }, "backup differ"), (512 + 488L, [1, 0, 0, 0], "FSInfo counts 1"), (512L, [0], "FSInfo sector has no") })
        {
            var disk = Volumes.Written(options, Volumes.Tree());
            disk.Apply(offset, bytes);
            Assert.Contains(finding, string.Join('\n', new FatReader(disk).Check()));
        }
    }

    [Fact]
    public void A_directory_that_contains_itself_is_an_error_and_no_endless_walk()
    {
        var options = Volumes.Options(FatKind.Fat16, 16 * Volumes.MiB);
        var disk = Volumes.Written(options, new Dictionary<string, byte[]> { ["A/B/F"] = [1] });
        var reader = new FatReader(disk);
        // Directory A is at cluster 3 (the file took 2), B at 4; B's entry in A is made to lead back to A.
        var offset = FatLayout.For(options).Geometry.ClusterOffset(3) + 64 + 26;
        Assert.Equal(4, disk.ReadAt(offset, 1)[0]);
        disk.Apply(offset, [3]);
        Assert.Contains("contains itself", Assert.Throws<ImageException>(() => reader.List("A/B")).Message);
        Assert.Contains(reader.Check(), f => f.Contains("belongs to another chain"));
    }

    [Fact]
    public void Names_on_a_damaged_volume_cannot_lead_out_of_a_folder()
    {
        var options = Volumes.Options(FatKind.Fat16, 16 * Volumes.MiB, label: "");
        var disk = Volumes.Written(options, new Dictionary<string, byte[]> { ["ABCDEFGH.TXT"] = [1] });
        disk.Apply(FatLayout.For(options).Geometry.RootOffset, "../../X "u8);
        Assert.Equal(".._.._X.TXT", Assert.Single(new FatReader(disk).List("")).Name);
    }

    private static void Only<T>(Action action) where T : Exception
    {
        var error = Record.Exception(action);
        Assert.True(error is null or T, error?.ToString());
    }
}
