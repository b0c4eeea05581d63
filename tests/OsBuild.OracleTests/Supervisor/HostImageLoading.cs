using System.Formats.Tar;
using Docker.DotNet.Models;
using OsBuild.ImageBuilder.Boards;
using OsBuild.OracleTests.Builder;
using OsBuild.OracleTests.Images;
using OsBuild.Tests.Builder;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>A real engine loads the builder's host images, tells their labels, and gives their files back.</summary>
[Collection("engine 2")]
public sealed class HostImageLoading(EngineFixture fixture)
{
    [Theory]
    [InlineData("qemux86-64", "amd64")]
    [InlineData("rockpro64", "arm64")]
    public async Task The_engine_loads_a_host_image(string name, string architecture)
    {
        using var engine = await fixture.ClientAsync();
        using var folder = new TempFolder();
        using var board = new BoardFixture(BoardCatalog.Find(name).Board!);
        var image = BuiltImage.Build(folder["out"], name, "--deploy", board.Request.Deploy, "--supervisor", board.Supervisor, "--rootfs", "squashfs");
        Judge.Run(BuiltImage.Program, "host-image", image.Path, "--tag", $"{name}/host:12", "--output", folder["host.tar"]).MustPass("host-image");
        await using (var archive = File.OpenRead(folder["host.tar"])) await engine.LoadAsync(archive, CancellationToken.None);

        var inspected = (await engine.InspectImageAsync($"{name}/host:12", CancellationToken.None))!;
        Assert.Equal((architecture, "linux", name), (inspected.Architecture, inspected.Os, inspected.Config!.Labels!["io.osbuild.board"]));
        Assert.Single(inspected.RootFS!.Layers!);
        // An image has no command of its own: whoever makes a container of it names one, which never runs.
        var container = await engine.CreateAsync(new CreateContainerParameters { Image = $"{name}/host:12", Cmd = ["none"] }, CancellationToken.None);
        Judge.Run("tar", "-xf", folder["host.tar"], "-C", folder["."], "layer.tar").MustPass("tar");
        Judge.Run("tar", "-xf", folder["layer.tar"], "-C", folder["."]).MustPass("tar");
        foreach (var path in (string[])["host.json", "root.img", name == "rockpro64" ? "slot/boot.env" : "loader/entry.conf"])
        {
            await using var archive = new TarReader((await engine.ReadFileAsync(container, "/" + path, CancellationToken.None))!);
            var entry = (await archive.GetNextEntryAsync())!;
            var bytes = new byte[entry.Length]; // no further: the client's stream takes being asked for more as a broken connection
            await entry.DataStream!.ReadExactlyAsync(bytes);
            Assert.Equal(File.ReadAllBytes(folder[path]), bytes);
        }

        await engine.RemoveAsync(container, CancellationToken.None);
        await engine.RemoveImageAsync($"{name}/host:12", CancellationToken.None);
    }
}
