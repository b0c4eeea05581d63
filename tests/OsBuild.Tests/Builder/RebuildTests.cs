using System.Security.Cryptography;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Commands;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Builder;

/// <summary>The second job in a folder: it does what is needed and no more, and what it leaves is what a first job would have left.</summary>
public sealed class RebuildTests
{
    private static BuildResult Build(DeployFixture fixture, BuildRequest request) => BuildJob.Run(request, Progress.Silent, CancellationToken.None);

    private static BuildRequest Small(DeployFixture fixture) => fixture.Request with { Board = DeployFixture.SmallBoard() };

    private static BuildRequest WithConfig(DeployFixture fixture, string text)
    {
        var config = Path.Combine(fixture.Home, "config.yaml");
        File.WriteAllText(config, text);
        return Small(fixture) with { Config = config };
    }

    /// <summary>Digests of everything in a folder but the job's own record.</summary>
    private static string Everything(string folder) => string.Join('\n', Directory.EnumerateFiles(folder).Where(f => !f.EndsWith(".job", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(f =>
    {
        using var file = File.OpenRead(f);
        return $"{Path.GetFileName(f)} {Convert.ToHexStringLower(SHA256.HashData(file))}";
    }));

    private static string Afresh(DeployFixture fixture, BuildRequest request)
    {
        var folder = Path.Combine(fixture.Home, "afresh");
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Assert.Equal(BuildKind.Whole, Build(fixture, request with { Output = folder }).Kind);
        return Everything(folder);
    }

    [Fact]
    public void The_same_job_again_does_nothing()
    {
        using var fixture = new DeployFixture();
        Assert.Equal(BuildKind.Whole, Build(fixture, Small(fixture)).Kind);
        var before = Directory.EnumerateFiles(fixture.Output).Select(f => (f, File.GetLastWriteTimeUtc(f))).Order().ToList();
        var again = Build(fixture, Small(fixture));
        Assert.Equal(BuildKind.Nothing, again.Kind);
        Assert.True(again.Mapped > 0 && again.Size > again.Mapped);
        Assert.Equal(before, Directory.EnumerateFiles(fixture.Output).Select(f => (f, File.GetLastWriteTimeUtc(f))).Order());
    }

    [Fact]
    public void Another_config_writes_the_boot_partition_only_and_gives_the_same_bytes()
    {
        using var fixture = new DeployFixture();
        Build(fixture, WithConfig(fixture, "hostname: one\n"));
        foreach (var text in new[] { "hostname: two\n", $"hostname: three\n#{new string('x', 300_000)}\n", "hostname: four\n" })
        {
            var request = WithConfig(fixture, text);
            Assert.Equal(BuildKind.BootOnly, Build(fixture, request).Kind);
            Assert.Equal(Afresh(fixture, request), Everything(fixture.Output));
            Assert.Equal(BuildKind.Nothing, Build(fixture, request).Kind);
        }

        Assert.Equal(BuildKind.BootOnly, Build(fixture, Small(fixture)).Kind);
        Assert.Equal(Afresh(fixture, Small(fixture)), Everything(fixture.Output));
    }

    [Fact]
    public void Another_kernel_or_loader_writes_the_boot_partition_only()
    {
        using var fixture = new DeployFixture();
        Build(fixture, Small(fixture));
        fixture.Write(DeployFixture.Loader, [.. Binaries.Pe(0x8664), 1, 2, 3]);
        Assert.Equal(BuildKind.BootOnly, Build(fixture, Small(fixture)).Kind);
        fixture.Write(DeployFixture.Kernel, [.. Binaries.BzImage(DeployFixture.Version), 0]);
        Assert.Equal(BuildKind.BootOnly, Build(fixture, Small(fixture)).Kind);
        Assert.Equal(Afresh(fixture, Small(fixture)), Everything(fixture.Output));
    }

    public static TheoryData<string> Deeper => ["root", "supervisor", "modules", "time", "board", "touched", "gone", "no record", "compressed", "listed"];

    [Theory]
    [MemberData(nameof(Deeper))]
    public void What_goes_deeper_is_built_anew(string change)
    {
        using var fixture = new DeployFixture();
        var path = Build(fixture, Small(fixture)).Path;
        var request = Small(fixture);
        switch (change)
        {
            case "root":
                using (var root = DeployFixture.SmallRoot()) fixture.Write(DeployFixture.Rootfs, root.File("etc/motd", "hello").Zstd());
                break;
            case "supervisor": File.AppendAllText(fixture.Supervisor, "x"); break;
            case "modules":
                using (var modules = DeployFixture.SmallModules()) fixture.Write(DeployFixture.Modules, modules.File($"lib/modules/{DeployFixture.Version}/extra.ko", "x").Gzip());
                break;
            case "time": request = request with { SourceDateEpoch = 7 }; break;
            case "board": request = request with { Board = request.Board with { Digest = "another" } }; break;
            case "touched": File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch); break;
            case "gone": File.Delete(path + ".bmap"); break;
            case "no record": File.Delete(Path.Combine(fixture.Output, JobRecord.NameFor(Path.GetFileName(path)))); break;
            case "compressed": request = request with { Compress = Codec.Zstd }; break;
            default: request = request with { OsList = "https://example.com/images" }; break;
        }

        Assert.Equal(BuildKind.Whole, Build(fixture, request).Kind);
    }

    [Fact]
    public void A_refused_config_leaves_the_image_as_it_was()
    {
        using var fixture = new DeployFixture();
        Build(fixture, Small(fixture));
        var before = Everything(fixture.Output);
        var config = Path.Combine(fixture.Home, "config.yaml");
        File.WriteAllText(config, "- not a mapping\n");
        Assert.Throws<ImageBuilder.Facts.RefusedException>(() => Build(fixture, Small(fixture) with { Config = config }));
        // It would not fit: found when the boot partition is planned, after the record said that only that is to be written.
        var app = Path.Combine(fixture.Home, "app.tar");
        using (var archive = new Archive()) File.WriteAllBytes(app, archive.File("manifest.json", "[]").File("layer", new byte[40 << 20]).Plain());
        Assert.Throws<ImageBuilder.Facts.RefusedException>(() => Build(fixture, Small(fixture) with { Load = [app] }));
        Assert.Equal(before, Everything(fixture.Output));
        Assert.Equal(BuildKind.Nothing, Build(fixture, Small(fixture)).Kind);
    }

    [Fact]
    public void A_torn_record_is_no_record()
    {
        using var fixture = new DeployFixture();
        var path = Build(fixture, Small(fixture)).Path;
        var record = Path.Combine(fixture.Output, JobRecord.NameFor(Path.GetFileName(path)));
        foreach (var text in new[] { "", "{", "[]", "{\"job\":\"x\"}", "null" })
        {
            File.WriteAllText(record, text);
            Assert.Equal(BuildKind.Whole, Build(fixture, Small(fixture)).Kind);
        }
    }

    [Fact]
    public void The_user_is_told_how_much_was_done()
    {
        using var fixture = new DeployFixture();
        string Say()
        {
            using var output = new StringWriter { NewLine = "\n" };
            using var errors = new StringWriter();
            Assert.Equal(0, BuildCommand.Run(Small(fixture), new Reporter(false, output, errors, false), CancellationToken.None));
            return output.ToString();
        }

        Assert.Contains("of it hold something", Say(), StringComparison.Ordinal);
        Assert.Contains("unchanged, nothing to do", Say(), StringComparison.Ordinal);
        fixture.Write(DeployFixture.Loader, [.. Binaries.Pe(0x8664), 1]);
        Assert.Contains("only the boot partition was written", Say(), StringComparison.Ordinal);
    }
}
