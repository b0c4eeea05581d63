using System.Security.Cryptography;
using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

/// <summary>Writing the slot that does not run.</summary>
public sealed class SlotWriterTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("osbuild-slot-").FullName;
    private readonly byte[] content = new byte[(3 << 20) + 8192];
    private readonly string partition;

    public SlotWriterTests()
    {
        new Random(85).NextBytes(content);
        partition = Path.Combine(folder, "root-b");
        File.WriteAllBytes(partition, new byte[5 << 20]);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private SlotRoot Root => new("squashfs", content.Length, Digest(content));

    private static string Digest(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private Task<long> WriteAsync(Stream from, SlotRoot? root = null, Action<long>? progress = null, CancellationToken stop = default) => SlotWriter.WriteRootAsync(from, root ?? Root, partition, progress ?? (_ => { }), stop);

    [Fact]
    public async Task Writes_the_root_and_nothing_behind_it()
    {
        Assert.Equal(content.Length, await WriteAsync(new MemoryStream(content)));
        var written = File.ReadAllBytes(partition);
        Assert.Equal(5 << 20, written.Length);
        Assert.Equal(content, written[..content.Length]);
        Assert.All(written[content.Length..], b => Assert.Equal(0, b));
    }

    [Fact]
    public async Task Only_what_differs_is_written()
    {
        await WriteAsync(new MemoryStream(content));
        Assert.Equal(0, await WriteAsync(new MemoryStream(content)));
        content[(2 << 20) + 5] ^= 1;
        Assert.Equal(1 << 20, await WriteAsync(new MemoryStream(content)));
    }

    [Fact]
    public async Task S85_A_write_that_was_broken_off_goes_on_where_it_was()
    {
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => WriteAsync(new Slow(content), progress: done => { if (done >= 2 << 20) stop.Cancel(); }, stop: stop.Token));
        await Assert.ThrowsAsync<EndOfStreamException>(() => WriteAsync(new Slow(content, breakAt: (2 << 20) + 700)));
        Assert.Equal(content.Length - (2 << 20), await WriteAsync(new Slow(content)));
        Assert.Equal(content, File.ReadAllBytes(partition)[..content.Length]);
    }

    [Fact]
    public async Task What_is_not_what_its_description_says_is_refused()
    {
        Assert.Contains("the digest differs", (await Assert.ThrowsAsync<NoHostException>(() => WriteAsync(new MemoryStream(content), Root with { Sha256 = new string('0', 64) }))).Message);
        Assert.Contains("longer", (await Assert.ThrowsAsync<NoHostException>(() => WriteAsync(new MemoryStream(content), Root with { Size = 4096 }))).Message);
        Assert.Contains($"has {content.Length} bytes", (await Assert.ThrowsAsync<NoHostException>(() => WriteAsync(new MemoryStream(content), Root with { Size = 4 << 20 }))).Message);
    }

    [Fact]
    public async Task A_medium_that_forgets_is_told()
    {
        // What is written to /dev/null-like media is not there afterwards; /dev/full refuses it.
        await Assert.ThrowsAnyAsync<IOException>(() => SlotWriter.WriteRootAsync(new MemoryStream(content), Root, "/dev/full", _ => { }, default));
    }

    [Fact]
    public async Task Progress_is_told_to_the_end()
    {
        var told = new List<long>();
        await WriteAsync(new Slow(content), progress: told.Add);
        Assert.Equal(told.Order(), told);
        Assert.Equal(content.Length, told[^1]);
        Assert.True(told.Count >= 4);
    }

    [Fact]
    public async Task A_file_of_the_slot_is_checked_filled_in_and_written_once()
    {
        var bytes = "root=PARTUUID=@ROOT@ osbuild.slot=@SLOT@\n"u8.ToArray();
        var path = Path.Combine(folder, "boot", "slot-b", "boot.env");
        var file = new SlotFile("slot/boot.env", bytes.Length, Digest(bytes), true);
        string Fill(string text) => SlotText.Fill(text, "b", "1111-03", 0);
        await SlotWriter.WriteFileAsync(new MemoryStream(bytes), file, path, Fill, default);
        Assert.Equal("root=PARTUUID=1111-03 osbuild.slot=b\n", File.ReadAllText(path));
        File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch);
        await SlotWriter.WriteFileAsync(new MemoryStream(bytes), file, path, Fill, default);
        Assert.Equal(DateTime.UnixEpoch, File.GetLastWriteTimeUtc(path)); // nothing to do, nothing done
        foreach (var wrong in new[] { bytes[..^1], [.. bytes, 0], [.. bytes[..^1], (byte)'x'] })
            Assert.Contains("slot/boot.env", (await Assert.ThrowsAsync<NoHostException>(() => SlotWriter.WriteFileAsync(new MemoryStream(wrong), file, path, Fill, default))).Message);
        Assert.Equal("root=PARTUUID=1111-03 osbuild.slot=b\n", File.ReadAllText(path));
    }

    [Fact]
    public void What_the_new_slot_does_not_have_goes()
    {
        var slot = Path.Combine(folder, "slot-b");
        Directory.CreateDirectory(Path.Combine(slot, "dtbs"));
        foreach (var name in new[] { "kernel", "old", "dtbs/board.dtb", "dtbs/old.dtb" }) File.WriteAllText(Path.Combine(slot, name), "");
        SlotWriter.Prune(slot, new HashSet<string> { Path.Combine(slot, "kernel"), Path.Combine(slot, "dtbs/board.dtb"), Path.Combine(slot, "new") });
        Assert.Equal(["dtbs/board.dtb", "kernel"], Directory.EnumerateFiles(slot, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(slot, f)).Order(StringComparer.Ordinal));
        SlotWriter.Prune(Path.Combine(folder, "none"), new HashSet<string>());
    }

    /// <summary>Bytes that come in small pieces, and may break off.</summary>
    private sealed class Slow(byte[] bytes, int breakAt = int.MaxValue) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Position >= breakAt) throw new EndOfStreamException();
            return base.ReadAsync(buffer[..Math.Min(buffer.Length, 65_000)], cancellationToken);
        }
    }
}
