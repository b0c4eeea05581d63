using System.Formats.Tar;
using System.Text;
using OsBuild.Images;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Images.Trees;

public sealed class TarTreeTests
{
    private sealed record Read(Node Node, byte[] Content);

    private static List<Read> All(byte[] tar) => [.. TarTree.Read(new MemoryStream(tar)).Select(e => new Read(e.Node, Bytes(e.Content)))];

    private static byte[] Bytes(Stream stream)
    {
        var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }

    private static byte[] Archive(TarEntryFormat format, params TarEntry[] entries)
    {
        var bytes = new MemoryStream();
        using (var writer = new TarWriter(bytes, format, leaveOpen: true))
            foreach (var entry in entries) writer.WriteEntry(entry);
        return bytes.ToArray();
    }

    [Theory]
    [InlineData(TarEntryFormat.Ustar)]
    [InlineData(TarEntryFormat.Gnu)]
    [InlineData(TarEntryFormat.Pax)]
    public void Reads_every_kind_in_every_format(TarEntryFormat format)
    {
        TarEntry Entry(TarEntryType type, string name) => format switch
        {
            TarEntryFormat.Ustar => new UstarTarEntry(type, name),
            TarEntryFormat.Gnu => new GnuTarEntry(type, name),
            _ => new PaxTarEntry(type, name),
        };
        var file = Entry(TarEntryType.RegularFile, "./bin/busybox");
        file.DataStream = new MemoryStream("hello"u8.ToArray());
        file.Mode = (UnixFileMode)0xDED; // 06755
        (file.Uid, file.Gid) = (12, 34);
        file.ModificationTime = DateTimeOffset.FromUnixTimeSeconds(1302044400);
        var link = Entry(TarEntryType.HardLink, "./bin/sh");
        link.LinkName = "./bin/busybox";
        var symlink = Entry(TarEntryType.SymbolicLink, "./sbin");
        symlink.LinkName = "usr//sbin/";
        var device = (PosixTarEntry)Entry(TarEntryType.CharacterDevice, "./dev/console");
        (device.DeviceMajor, device.DeviceMinor) = (5, 1);

        var read = All(Archive(format, Entry(TarEntryType.Directory, "./"), Entry(TarEntryType.Directory, "./bin/"), file, link, symlink, device, Entry(TarEntryType.Fifo, "./run/initctl")));

        Assert.Equal(["", "bin", "bin/busybox", "bin/sh", "sbin", "dev/console", "run/initctl"], read.Select(r => r.Node.Path));
        Assert.Equal(
            [NodeKind.Directory, NodeKind.Directory, NodeKind.File, NodeKind.HardLink, NodeKind.Symlink, NodeKind.CharDevice, NodeKind.Fifo],
            read.Select(r => r.Node.Kind));
        Assert.Equal("hello"u8.ToArray(), read[2].Content);
        Assert.Equal((0xDED, 12u, 34u, 1302044400L, 5L), (read[2].Node.Mode, read[2].Node.Uid, read[2].Node.Gid, read[2].Node.ModifiedAt, read[2].Node.Size));
        Assert.Equal("bin/busybox", read[3].Node.LinkTarget);
        Assert.Equal("usr//sbin/", read[4].Node.LinkTarget);
        Assert.Equal((5u, 1u), (read[5].Node.Major, read[5].Node.Minor));
    }

    [Theory]
    [InlineData(TarEntryFormat.Gnu)]
    [InlineData(TarEntryFormat.Pax)]
    public void Reads_names_and_targets_beyond_the_header(TarEntryFormat format)
    {
        var name = string.Join('/', Enumerable.Repeat(new string('ä', 60), 20)) + "/end";
        var target = new string('t', 3000);
        var entry = format == TarEntryFormat.Gnu ? (TarEntry)new GnuTarEntry(TarEntryType.SymbolicLink, name) : new PaxTarEntry(TarEntryType.SymbolicLink, name);
        entry.LinkName = target;
        var node = Assert.Single(All(Archive(format, entry))).Node;
        Assert.Equal(name, node.Path);
        Assert.Equal(target, node.LinkTarget);
    }

    [Fact]
    public void Pax_records_give_attributes_owners_times_and_sizes()
    {
        var acl = "user::rwx,user:1000:r--,group::r-x,mask::r-x,other::---";
        var entry = new PaxTarEntry(TarEntryType.RegularFile, "bin/ping", new Dictionary<string, string>
        {
            ["SCHILY.xattr.user.note"] = "ä=b c",
            ["SCHILY.xattr.security.selinux"] = "system_u:object_r:bin_t:s0\0",
            ["LIBARCHIVE.xattr.user.two%20words"] = Convert.ToBase64String([1, 2, 3, 4]).TrimEnd('='),
            ["SCHILY.acl.access"] = acl,
            ["comment"] = "nothing",
        })
        {
            Uid = 2_000_000_000, // more than the header's seven octal digits hold
            ModificationTime = DateTimeOffset.UnixEpoch.AddSeconds(-1.25),
        };
        var node = Assert.Single(All(Archive(TarEntryFormat.Pax, entry))).Node;
        Assert.Equal(["security.selinux", "system.posix_acl_access", "user.note", "user.two words"], node.Xattrs.Select(x => x.Name));
        Assert.Equal("ä=b c", Encoding.UTF8.GetString(node.Xattrs[2].Value.Span));
        Assert.Equal([1, 2, 3, 4], node.Xattrs[3].Value.ToArray());
        Assert.Equal(PosixAcl.FromText(acl), node.Xattrs[1].Value.ToArray());
        Assert.Equal(4 + (5 * 8), node.Xattrs[1].Value.Length);
        Assert.Equal(2_000_000_000u, node.Uid);
        Assert.Equal((-2, 750_000_000), (node.ModifiedAt, node.ModifiedNanoseconds));
    }

    [Fact]
    public void Content_left_unread_is_passed_over()
    {
        var one = new GnuTarEntry(TarEntryType.RegularFile, "one") { DataStream = new MemoryStream(new byte[1_000_000]) };
        var two = new GnuTarEntry(TarEntryType.RegularFile, "two") { DataStream = new MemoryStream("2"u8.ToArray()) };
        var tar = Archive(TarEntryFormat.Gnu, one, two);
        foreach (var source in new Stream[] { new MemoryStream(tar), new Dribble(tar) })
        {
            var paths = new List<string>();
            foreach (var entry in TarTree.Read(source)) paths.Add(entry.Node.Path + entry.Content.ReadByte());
            Assert.Equal(["one0", "two50"], paths);
        }
    }

    [Theory]
    [InlineData("../etc/passwd")]
    [InlineData("a/../../b")]
    [InlineData("a/..")]
    public void Refuses_paths_that_lead_out(string path)
    {
        var error = Assert.Throws<ImageException>(() => All(Archive(TarEntryFormat.Gnu, new GnuTarEntry(TarEntryType.RegularFile, path))));
        Assert.Contains(path, error.Message);
    }

    [Theory]
    [InlineData("/etc/passwd", "etc/passwd")]
    [InlineData("./", "")]
    [InlineData(".", "")]
    [InlineData("a//b/./c/", "a/b/c")]
    [InlineData(".hidden/..dots/...", ".hidden/..dots/...")]
    public void Brings_paths_into_one_form(string path, string normal) => Assert.Equal(normal, TarTree.Normalize(path));

    [Fact]
    public void A_torn_archive_is_an_error_at_every_length()
    {
        var entry = new PaxTarEntry(TarEntryType.RegularFile, "a/file", new Dictionary<string, string> { ["SCHILY.xattr.user.a"] = "b" })
        {
            DataStream = new MemoryStream(new byte[700]),
        };
        var tar = Archive(TarEntryFormat.Pax, entry, new PaxTarEntry(TarEntryType.Directory, "b"));
        Assert.Equal(2, All(tar).Count);
        for (var length = 0; length < tar.Length - 1024 + 512; length++)
        {
            var error = Assert.Throws<ImageException>(() => All(tar[..length]));
            Assert.Equal(ImageErrorKind.Corrupt, error.Kind);
            Assert.Contains("torn", error.Message);
        }
    }

    [Fact]
    public void Any_flipped_bit_in_a_header_is_found_or_harmless()
    {
        var tar = Archive(TarEntryFormat.Pax, new PaxTarEntry(TarEntryType.RegularFile, "a/file") { DataStream = new MemoryStream(new byte[600]) });
        for (var bit = 0; bit < tar.Length * 8; bit++)
        {
            var broken = tar.ToArray();
            broken[bit / 8] ^= (byte)(1 << (bit % 8));
            try
            {
                All(broken);
            }
            catch (ImageException)
            {
                // What cannot be read must say so in this one way.
            }
        }
    }

    /// <summary>A stream that cannot seek and gives a few bytes at a time.</summary>
    private sealed class Dribble(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;

        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, 777)]);

        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, 777));
    }
}
