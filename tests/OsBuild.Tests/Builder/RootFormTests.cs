using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Ext4;
using OsBuild.Images.Partitions;
using OsBuild.Images.SquashFs;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Builder;

/// <summary>The root in each form it can be given in and made in.</summary>
public sealed class RootFormTests
{
    private static BuildRequest Request(DeployFixture fixture, FileSystemKind kind, string output = "out") => fixture.Request with
    {
        Board = DeployFixture.SmallBoard().WithRoot(kind), Rootfs = kind, Output = Path.Combine(fixture.Home, output),
    };

    private static string Build(BuildRequest request) => BuildJob.Run(request, Progress.Silent, CancellationToken.None).Path;

    private static IFileSystem Root(Stream image, FileSystemKind kind)
    {
        var entry = PartitionTable.Read(image)!.Partitions.Single(p => p.Name == "root-a");
        var partition = new SubStream(image, entry.Offset, entry.Size);
        return kind == FileSystemKind.Squashfs ? new SquashFsReader(partition) : new Ext4Reader(partition);
    }

    private static IEnumerable<string> Tree(IFileSystem root) =>
        FileSystemTree.Read(root).Select(e => $"{e.Node.Path} {e.Node.Kind} {e.Node.Mode} {e.Node.Uid} {e.Node.LinkTarget} {(e.Node.Kind == NodeKind.File ? e.Node.Size : 0)}").Order(StringComparer.Ordinal);

    [Fact]
    public void A_squashfs_root_holds_what_an_ext4_root_holds()
    {
        using var fixture = new DeployFixture();
        using var ext4 = File.OpenRead(Build(Request(fixture, FileSystemKind.Ext4)));
        using var squashfs = File.OpenRead(Build(Request(fixture, FileSystemKind.Squashfs, "squashed")));
        var (a, b) = (Root(ext4, FileSystemKind.Ext4), Root(squashfs, FileSystemKind.Squashfs));
        Assert.Empty(b.Check());
        Assert.Equal(Tree(a), Tree(b));
    }

    [Fact]
    public void The_kernel_is_told_that_the_root_is_squashfs()
    {
        using var fixture = new DeployFixture();
        var plan = Preparation.Plan(Request(fixture, FileSystemKind.Squashfs), Progress.Silent, CancellationToken.None);
        Assert.Contains(" rootfstype=squashfs ro ", plan.CommandLine, StringComparison.Ordinal);
        Assert.Contains("  squashfs  ", PlanText.Describe(plan), StringComparison.Ordinal);
        var path = Build(Request(fixture, FileSystemKind.Squashfs));
        using var described = JsonDocument.Parse(File.ReadAllText(path + ".json"));
        Assert.Equal("squashfs", described.RootElement.GetProperty("partitions")[1].GetProperty("fs").GetString());
    }

    [Theory]
    [InlineData(SquashFsCompression.Zstd, "squashfs-zst")]
    [InlineData(SquashFsCompression.Gzip, "squashfs")]
    public void A_root_given_as_squashfs_makes_the_same_root(SquashFsCompression compression, string type)
    {
        using var fixture = new DeployFixture();
        using var first = File.OpenRead(Build(Request(fixture, FileSystemKind.Ext4)));
        using (var file = File.Create(fixture.At($"{DeployFixture.Image}-{DeployFixture.Machine}.rootfs.{type}")))
        using (var writer = new SquashFsWriter(file, new SquashFsOptions { Compression = compression, Level = 3 }))
        {
            foreach (var (node, content) in FileSystemTree.Read(Root(first, FileSystemKind.Ext4))) writer.Add(node, content);
            writer.Finish();
        }

        fixture.Delete(DeployFixture.Rootfs, DeployFixture.RootfsLink);
        using var second = File.OpenRead(Build(Request(fixture, FileSystemKind.Ext4, "again")));
        Assert.Empty(Root(second, FileSystemKind.Ext4).Check());
        Assert.Equal(Tree(Root(first, FileSystemKind.Ext4)), Tree(Root(second, FileSystemKind.Ext4)));
    }

    [Fact]
    public void A_root_that_does_not_fit_as_squashfs_is_refused_and_leaves_nothing()
    {
        using var fixture = new DeployFixture();
        var noise = new byte[12 << 20];
        new Random(1).NextBytes(noise);
        using (var root = DeployFixture.SmallRoot()) fixture.Write(DeployFixture.Rootfs, root.File("usr/lib/noise", noise).Plain());
        fixture.Rename(DeployFixture.Rootfs, DeployFixture.Rootfs.Replace(".zst", "", StringComparison.Ordinal), DeployFixture.RootfsLink.Replace(".zst", "", StringComparison.Ordinal), DeployFixture.RootfsLink);
        var refused = Assert.Throws<ImageBuilder.Facts.RefusedException>(() => Build(Request(fixture, FileSystemKind.Squashfs)));
        Assert.Contains("does not fit into its slot", Assert.Single(refused.Sentences), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(fixture.Output));
    }

    [Fact]
    public void A_root_with_very_many_files_is_written_again_with_more_inodes()
    {
        using var fixture = new DeployFixture();
        using (var root = DeployFixture.SmallRoot())
        {
            root.Directory("var");
            for (var i = 0; i < 3000; i++) root.File($"var/{i}", "");
            fixture.Write(DeployFixture.Rootfs, root.Zstd());
        }

        var request = Request(fixture, FileSystemKind.Ext4);
        request = request with { Board = request.Board with { Partitions = [.. request.Board.Partitions.Select(p => p.Role is PartitionRole.RootA or PartitionRole.RootB ? p with { Size = 32 << 20 } : p)] } };
        Assert.True(Preparation.Plan(request, Progress.Silent, CancellationToken.None)[PartitionRole.RootA].BytesPerInode < 16384);
        using var image = File.OpenRead(Build(request));
        var made = Root(image, FileSystemKind.Ext4);
        Assert.Empty(made.Check());
        Assert.Equal(3000, made.List("var").Count());
    }

    [Fact]
    public void An_old_supervisor_in_the_root_gives_way_wherever_it_lies()
    {
        using var fixture = new DeployFixture();
        using (var root = DeployFixture.SmallRoot())
            fixture.Write(DeployFixture.Rootfs, root.Directory("usr/lib/osbuild").File("usr/lib/osbuild/supervisor", "old", 0x1ED).File("usr/bin/supervisor", "old", 0x1ED).Zstd());
        using var image = File.OpenRead(Build(Request(fixture, FileSystemKind.Ext4)));
        var made = Root(image, FileSystemKind.Ext4);
        Assert.Empty(made.Check());
        Assert.Equal(new FileInfo(fixture.Supervisor).Length, made.Find("usr/lib/osbuild/supervisor")!.Size);
        Assert.Equal(NodeKind.Symlink, made.Find("usr/bin/supervisor")!.Kind);
    }
}
