using OsBuild.ImageBuilder.Boards;
using OsBuild.OracleTests.Builder;
using OsBuild.OracleTests.Images;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Running;
using OsBuild.Tests.Builder;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>A host image made by the builder, given out by a real engine, and written by the device: the other slot is what the builder would have made of it.</summary>
[Collection("engine 2")]
public sealed class SlotImageTests(EngineFixture fixture)
{
    [Theory]
    [InlineData("qemux86-64")] // systemd-boot, GPT
    [InlineData("genericx86-64-bios")] // GRUB
    [InlineData("rockpro64")] // U-Boot
    [InlineData("raspberrypi4")] // its own firmware, MBR
    public async Task The_other_slot_becomes_what_the_first_one_is(string name)
    {
        using var folder = new TempFolder();
        var (board, image) = Build(folder, name);
        using (board)
        {
            using var engine = await fixture.ClientAsync();
            Judge.Run(BuiltImage.Program, "host-image", image.Path, "--tag", $"{name}/slot:1", "--output", folder["host.tar"]).MustPass("host-image");
            await using (var archive = File.OpenRead(folder["host.tar"])) await engine.LoadAsync(archive, CancellationToken.None);
            var paths = Device(folder, image);
            var store = new HostStore(paths);
            var other = image.Partitions.Single(p => p.Name == "root-b");
            File.WriteAllBytes(folder["root-b"], []);
            using (var file = File.OpenWrite(folder["root-b"])) file.SetLength(other.Size);
            using var loop = new LoopDevice(folder["root-b"]);
            var asked = "";

            var build = await new SlotImage(paths, engine, new ArchiveIndex()).WriteAsync(store, $"{name}/slot:1", "now", "a", partition => (asked = partition) == "root-b" ? new(loop.Device, other.Size) : null, CancellationToken.None);

            Assert.Equal(("root-b", "b", $"{name}/slot:1"), (asked, build.Slot, build.Image));
            var (_, _, at, size) = image.Partitions.Single(p => p.Name == "root-a");
            Judge.Run("cmp", $"--bytes={RootSize(paths, "b")}", image.Path, loop.Device, $"{at}", "0").MustPass("cmp of the roots");
            Judge.Run("unsquashfs", "-s", loop.Device).MustPass("unsquashfs -s");
            Assert.True(RootSize(paths, "b") <= size);

            var device = store.Device!;
            var (a, b) = (device.Slots["a"].PartUuid, device.Slots["b"].PartUuid);
            Assert.NotEqual(a, b);
            foreach (var file in Directory.EnumerateFiles(folder["boot/slot-a"], "*", SearchOption.AllDirectories))
            {
                var twin = Path.Combine(folder["boot/slot-b"], Path.GetRelativePath(folder["boot/slot-a"], file));
                var (first, second) = (File.ReadAllBytes(file), File.ReadAllBytes(twin));
                if (!first.AsSpan().SequenceEqual(second)) Assert.Equal(Turned(File.ReadAllText(file), a, b), File.ReadAllText(twin));
            }

            // Told of it, the loader has what the builder would have written for this slot.
            var loader = new BootStore(paths.Boot, device);
            Assert.False(loader.IsOnTrial("b"));
            loader.Arm("b");
            Assert.True(loader.IsOnTrial("b"));
            if (name == "qemux86-64")
            {
                Assert.Equal(Turned(File.ReadAllText(folder["boot/loader/entries/slot-a.conf"]), a, b).Replace("osbuild-9999", "osbuild-9998", StringComparison.Ordinal), File.ReadAllText(folder["boot/loader/entries/slot-b+3.conf"]));
            }

            if (name == "raspberrypi4") Assert.Equal(Turned(File.ReadAllText(folder["boot/config.txt"]), a, b), File.ReadAllText(folder["boot/tryboot.txt"]));
            loader.MarkGood("b");
            Assert.False(loader.IsOnTrial("b"));

            // The same again is the same; nothing of it is left in the engine.
            await engine.LoadAsync(new MemoryStream(File.ReadAllBytes(folder["host.tar"])), CancellationToken.None);
            Assert.Equal(build.Sha256, (await new SlotImage(paths, engine, new ArchiveIndex()).WriteAsync(store, $"{name}/slot:1", "again", "a", _ => new(loop.Device, other.Size), CancellationToken.None)).Sha256);
            Judge.Run("cmp", $"--bytes={RootSize(paths, "b")}", image.Path, loop.Device, $"{at}", "0").MustPass("cmp of the roots");
            Assert.Null(await engine.InspectAsync("osbuild-host-update", CancellationToken.None));
            await engine.RemoveImageAsync($"{name}/slot:1", CancellationToken.None);
        }
    }

    [Fact]
    public async Task S86_What_is_no_host_or_for_another_board_is_refused_before_anything_is_written()
    {
        using var folder = new TempFolder();
        var (board, image) = Build(folder, "qemux86-64");
        using (board)
        {
            using var engine = await fixture.ClientAsync();
            var paths = Device(folder, image);
            var store = new HostStore(paths);
            Judge.Run(BuiltImage.Program, "host-image", image.Path, "--tag", "slot:whole", "--output", folder["host.tar"]).MustPass("host-image");
            await using (var archive = File.OpenRead(folder["host.tar"])) await engine.LoadAsync(archive, CancellationToken.None);
            await engine.LoadAsync(new MemoryStream(TestImages.Archive("slot:none")), CancellationToken.None);
            await engine.LoadAsync(new MemoryStream(TestImages.Archive("slot:nonsense", new() { ["host.json"] = "{ \"board\": 3 }" })), CancellationToken.None);
            var nothing = Snapshot(folder);

            Assert.Contains("it is no host image", (await RefusedAsync("slot:none")).Message);
            Assert.Contains("cannot be read", (await RefusedAsync("slot:nonsense")).Message);
            var json = File.ReadAllText(folder["boot/image.json"]);
            File.WriteAllText(folder["boot/image.json"], json.Replace("\"qemux86-64\"", "\"another\"", StringComparison.Ordinal));
            var refused = await RefusedAsync("slot:whole");
            Assert.Equal("it was built for board qemux86-64, and this is another", refused.Message);
            File.WriteAllText(folder["boot/image.json"], json);
            File.WriteAllText(folder["boot/config.yaml"], "host-not-before: 2099-01-01\n");
            Assert.Contains("takes nothing from before 2099-01-01", (await RefusedAsync("slot:whole")).Message);
            File.Delete(folder["boot/config.yaml"]);
            // One that failed is known by what it is, whatever it is called.
            store.Save(new HostRecord().Distrust(new(refused.Sha256, "1", "other:name", "r", "b"), "it panics"));
            Assert.Equal("it panics", (await RefusedAsync("slot:whole")).Message);
            Assert.Equal(nothing, Snapshot(folder));
            await Assert.ThrowsAsync<EngineRefusedException>(() => new SlotImage(paths, engine, new ArchiveIndex()).WriteAsync(store, "127.0.0.1:1/slot:nowhere", "now", "a", _ => null, CancellationToken.None));
            foreach (var tag in (string[])["none", "nonsense", "whole"]) await engine.RemoveImageAsync($"slot:{tag}", CancellationToken.None);

            Task<NoHostException> RefusedAsync(string tag) =>
                Assert.ThrowsAsync<NoHostException>(() => new SlotImage(paths, engine, new ArchiveIndex()).WriteAsync(store, tag, "now", "a", _ => new(folder["root-b"], 64 << 20), CancellationToken.None));
        }
    }

    private static (BoardFixture Board, BuiltImage Image) Build(TempFolder folder, string name)
    {
        var board = new BoardFixture(BoardCatalog.Find(name).Board!);
        return (board, BuiltImage.Build(folder["out"], name, "--deploy", board.Request.Deploy, "--supervisor", board.Supervisor, "--rootfs", "squashfs"));
    }

    /// <summary>A device with this image: its boot partition as a folder, got out by mtools.</summary>
    private static HostPaths Device(TempFolder folder, BuiltImage image)
    {
        Directory.CreateDirectory(folder["boot"]);
        Judge.Run("mcopy", "-s", "-n", "-i", $"{image.Path}@@{image.Partitions.Single(p => p.Name == "boot").Offset}", "::/", folder["boot"]).MustPass("mcopy");
        File.WriteAllBytes(folder["root-b"], new byte[64 << 20]);
        return new(folder["boot"], folder["state"], folder["data"], folder["run"], "");
    }

    private static long RootSize(HostPaths paths, string slot) => HostRelease.Parse(File.ReadAllBytes(Path.Combine(paths.Boot, $"slot-{slot}", "host.json"))).Root.Size;

    private static string Turned(string text, string a, string b) => text.Replace(a, b, StringComparison.Ordinal).Replace("slot-a", "slot-b", StringComparison.Ordinal).Replace("osbuild.slot=a", "osbuild.slot=b", StringComparison.Ordinal).Replace("root-a", "root-b", StringComparison.Ordinal);

    private static string Snapshot(TempFolder folder) => string.Join('\n', Directory.EnumerateFiles(folder["boot"], "*", SearchOption.AllDirectories).Append(folder["root-b"]).Order(StringComparer.Ordinal).Select(f => $"{f} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(f)))}"));
}
