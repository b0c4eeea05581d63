using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Images.Ext4;

/// <summary>Damaged file systems: the reader says so with an <see cref="ImageException"/>, in bounded time, and nothing else happens.</summary>
public sealed class Ext4FuzzTests
{
    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ"), out var factor) ? 250 * factor : 250;

    /// <summary>A file system with a bit of everything: an indexed directory, deep extents, attributes in and out of inodes.</summary>
    private static byte[] Sound(bool sums)
    {
        var image = new MemoryStream();
        image.SetLength(4 << 20);
        var writer = new Ext4Writer(image, Ext4Layout.For(new Ext4Options { Size = 4 << 20, Uuid = new Guid(1, 2, 3, new byte[8]), HashSeed = new Guid(4, 5, 6, new byte[8]), CreatedAt = 1302044400 }));
        writer.Add(new Node { Path = "d", Kind = NodeKind.Directory, Xattrs = [new Xattr("user.large", new byte[900])] }, Stream.Null);
        for (var i = 0; i < 200; i++) writer.Add(new Node { Path = $"d/{i}{new string('n', 40)}", Kind = NodeKind.Fifo }, Stream.Null);
        writer.Add(new Node { Path = "link", Kind = NodeKind.Symlink, LinkTarget = new string('t', 300) }, Stream.Null);
        writer.Add(new Node { Path = "short", Kind = NodeKind.Symlink, LinkTarget = "d", Xattrs = [new Xattr("security.selinux", new byte[20])] }, Stream.Null);
        writer.Add(new Node { Path = "null", Kind = NodeKind.CharDevice, Major = 1, Minor = 300 }, Stream.Null);
        var comb = new byte[40 * 8192];
        for (var at = 0; at < comb.Length; at += 8192) comb[at] = 1;
        writer.Add(new Node { Path = "comb", Kind = NodeKind.File, Size = comb.Length }, new MemoryStream(comb));
        writer.Add(new Node { Path = "d/file", Kind = NodeKind.File, Size = 5000 }, new MemoryStream(Enumerable.Repeat((byte)7, 5000).ToArray()));
        writer.Add(new Node { Path = "d/again", Kind = NodeKind.HardLink, LinkTarget = "d/file" }, Stream.Null);
        writer.Finish();
        var bytes = image.ToArray();

        // Without sums the damage reaches the code behind them.
        if (!sums) bytes[1024 + 0x65] &= 0xFB;
        return bytes;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Damage_is_reported_and_nothing_else_happens(bool sums)
    {
        var sound = Sound(sums);
        Assert.Equal(208, Walk(sound).Entries);
        var used = Enumerable.Range(0, sound.Length / 4096).Where(block => sound.AsSpan(block * 4096, 4096).ContainsAnyExcept((byte)0)).ToArray();
        for (var seed = 0; seed < Rounds; seed++)
        {
            var random = new Random(seed);
            var broken = sound.ToArray();
            for (var i = random.Next(1, 4); i > 0; i--) Damage(broken, used[random.Next(used.Length)] * 4096, random);
            if (random.Next(8) == 0) Array.Resize(ref broken, random.Next(broken.Length));
            Walk(broken);
        }
    }

    [Fact]
    public void With_sums_no_flipped_bit_of_the_metadata_goes_unseen()
    {
        var sound = Sound(true);
        Assert.Empty(Walk(sound).Findings);
        var random = new Random(2);
        var layout = Ext4Layout.For(new Ext4Options { Size = 4 << 20, Uuid = Guid.Empty, HashSeed = Guid.Empty, CreatedAt = 0 });
        long[] blocks = [1, layout.BlockBitmaps[0], layout.InodeBitmaps[0], layout.InodeTables[0], layout.InodeTables[0] + 2];
        foreach (var block in blocks)
        {
            for (var i = 0; i < 40; i++)
            {
                var broken = sound.ToArray();

                // Only what is in use is covered: one descriptor, the bits of 1024 inodes.
                var length = block == 1 ? 64 : block == layout.InodeBitmaps[0] ? 128 : 4096;
                var at = (block * 4096) + random.Next(length);
                if (block == layout.InodeTables[0] && sound.AsSpan((int)(at / 256 * 256), 256).IndexOfAnyExcept((byte)0) < 0) continue;
                broken[at] ^= (byte)(1 << random.Next(8));
                var walk = Walk(broken);
                Assert.True(walk.Failed || walk.Findings.Count > 0, $"nothing was found wrong with byte {at}");
            }
        }
    }

    private static void Damage(byte[] image, int block, Random random)
    {
        var at = block + random.Next(4096);
        switch (random.Next(5))
        {
            case 0: image[at] ^= (byte)(1 << random.Next(8)); break;
            case 1: image[at] = 0xFF; break;
            case 2: image.AsSpan(at, Math.Min(random.Next(1, 64), image.Length - at)).Clear(); break;
            case 3: random.NextBytes(image.AsSpan(at, Math.Min(random.Next(1, 16), image.Length - at))); break;
            default: image.AsSpan(random.Next(image.Length - 512), 512).CopyTo(image.AsSpan(Math.Min(at, image.Length - 512))); break;
        }
    }

    private static (int Entries, List<string> Findings, bool Failed) Walk(byte[] image)
    {
        var started = System.Diagnostics.Stopwatch.StartNew();
        var entries = 0;
        List<string> findings = [];
        var failed = false;
        var buffer = new byte[1 << 16];
        try
        {
            var reader = new Ext4Reader(new MemoryStream(image));
            findings.AddRange(reader.Check());
            foreach (var entry in FileSystemTree.Read(reader))
            {
                entries++;
                entry.Content.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            }
        }
        catch (ImageException)
        {
            failed = true;
        }

        Assert.True(started.Elapsed < TimeSpan.FromSeconds(20), "reading a damaged image took too long");
        return (entries, findings, failed);
    }
}
