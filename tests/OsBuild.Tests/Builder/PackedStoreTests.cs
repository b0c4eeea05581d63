using System.Security.Cryptography;
using OsBuild.ImageBuilder.Building;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Builder;

/// <summary>An image that is compressed while it is made, against the same image made in memory.</summary>
public sealed class PackedStoreTests : IDisposable
{
    private const int Piece = ImageStore.PieceSize;
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-packed-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private FileStream Heap() => new(Path.Combine(_folder, Guid.NewGuid().ToString("N")), FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite);

    private byte[] Unpack(PackedStore store, Codec codec)
    {
        using var packed = Heap();
        store.WriteTo(packed, Progress.Silent, CancellationToken.None);
        packed.Position = 0;
        var whole = new MemoryStream();
        Codecs.OpenRead(packed, codec).CopyTo(whole);
        return whole.ToArray();
    }

    public static MatrixTheoryData<Codec, int> Jobs => new([Codec.Zstd, Codec.Gzip, Codec.Xz], [1, 2, 3]);

    [Theory]
    [MemberData(nameof(Jobs))]
    public void Whatever_is_written_in_whatever_order_comes_out_whole(Codec codec, int seed)
    {
        var random = new Random(seed);
        var expected = new byte[(12 * Piece) + (random.Next(Piece / 4096) * 4096)];
        using var heap = Heap();
        using var store = new PackedStore(codec, 1, heap.SafeFileHandle, expected.Length);
        using var image = new ImageFile(store, expected.Length);
        // Mostly forward, as the writers of file systems go; now and then back into what was passed, as their ends do.
        var bytes = new byte[3 << 20];
        random.NextBytes(bytes.AsSpan(0, 1 << 18));
        long at = 0;
        for (var i = 0; i < 40; i++)
        {
            var length = random.Next(1, i % 7 == 0 ? 100 : bytes.Length);
            if (i % 9 == 8) image.Position = random.NextInt64(expected.Length - length);
            else image.Position = at = at + length > expected.Length - bytes.Length ? 0 : at;
            bytes.AsSpan(0, length).CopyTo(expected.AsSpan((int)image.Position));
            image.Write(bytes.AsSpan(0, length));
            at += length;
            if (i % 10 != 5) continue;
            var back = new byte[70_000];
            image.Position = random.NextInt64(expected.Length - back.Length);
            var from = (int)image.Position;
            image.ReadExactly(back);
            Assert.True(back.AsSpan().SequenceEqual(expected.AsSpan(from, back.Length)));
        }

        var map = ImageDigests.Map(image, CancellationToken.None);
        foreach (var range in map.Ranges)
        {
            var (start, end) = ((int)range.First * 4096, (int)Math.Min((range.Last + 1) * 4096, expected.Length));
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(expected.AsSpan(start, end - start))), range.Sha256);
        }

        Assert.True(Unpack(store, codec).AsSpan().SequenceEqual(expected));
    }

    [Theory]
    [InlineData(Codec.Zstd)]
    [InlineData(Codec.Gzip)]
    [InlineData(Codec.Xz)]
    public void It_is_the_file_that_the_encoder_writes(Codec codec)
    {
        var content = new byte[(6 * Piece) + 4096];
        new Random(9).NextBytes(content.AsSpan(Piece, Piece / 3));
        new Random(9).NextBytes(content.AsSpan(5 * Piece, Piece + 4096));
        using var heap = Heap();
        using var store = new PackedStore(codec, 3, heap.SafeFileHandle, content.Length);
        using (var image = new ImageFile(store, content.Length)) image.Write(content);
        using var packed = Heap();
        store.WriteTo(packed, Progress.Silent, CancellationToken.None);
        var streamed = new MemoryStream();
        using (var encoder = Codecs.OpenWrite(streamed, codec, 3, 2)) encoder.Write(content);
        Assert.True(File.ReadAllBytes(packed.Name).AsSpan().SequenceEqual(streamed.ToArray()));
    }

    [Fact]
    public void Pieces_that_were_left_before_they_were_full_give_way_and_come_back()
    {
        const int Count = 14;
        var expected = new byte[Count * Piece];
        using var heap = Heap();
        using var store = new PackedStore(Codec.Zstd, 1, heap.SafeFileHandle, expected.Length);
        using var image = new ImageFile(store, expected.Length);
        var random = new Random(3);
        void Write(int piece, int offset, int length)
        {
            var bytes = expected.AsSpan((piece * Piece) + offset, length);
            random.NextBytes(bytes[..Math.Min(length, 9000)]);
            image.Position = (piece * (long)Piece) + offset;
            image.Write(bytes);
        }

        void MustBe(int piece, int offset, int length)
        {
            var back = new byte[length];
            image.Position = (piece * (long)Piece) + offset;
            image.ReadExactly(back);
            Assert.True(back.AsSpan().SequenceEqual(expected.AsSpan((piece * Piece) + offset, length)), $"piece {piece}");
        }

        // Every other one is only begun, with a gap in it, more of them than are ever open; between them go full ones.
        for (var piece = 0; piece < Count; piece++)
        {
            Write(piece, 0, piece % 2 == 0 ? 5000 : Piece);
            if (piece % 2 == 0) Write(piece, 1 << 20, 7000);
        }

        for (var piece = 0; piece < Count; piece++) MustBe(piece, (1 << 20) - 100, 10_000);
        for (var piece = 0; piece < Count; piece += 2) Write(piece, 3 << 20, 4096);
        // What was read of a piece is not what it is after the next write.
        MustBe(1, 0, 100);
        Write(1, 50, 20);
        for (var piece = 2; piece < Count; piece++) MustBe(piece, 0, 100);
        MustBe(1, 0, 100);
        Assert.True(Unpack(store, Codec.Zstd).AsSpan().SequenceEqual(expected));
    }

    [Fact]
    public void Clearing_it_leaves_zeros()
    {
        using var heap = Heap();
        using var store = new PackedStore(Codec.Zstd, 1, heap.SafeFileHandle, 3 * Piece);
        using var image = new ImageFile(store, 3 * Piece);
        image.Write(Enumerable.Repeat((byte)7, 2 * Piece + 5).ToArray());
        image.Clear();
        Assert.Empty(image.Runs());
        Assert.DoesNotContain(Unpack(store, Codec.Zstd), b => b != 0);
    }

    [Fact]
    public void A_full_disk_is_told()
    {
        // /dev/full gives ENOSPC to every write.
        Assert.SkipUnless(File.Exists("/dev/full"), "There is no /dev/full here.");
        using var heap = new FileStream("/dev/full", FileMode.Open, FileAccess.ReadWrite);
        using var store = new PackedStore(Codec.Zstd, 1, heap.SafeFileHandle, 64 * Piece);
        using var image = new ImageFile(store, 64 * Piece);
        var noise = new byte[Piece];
        new Random(4).NextBytes(noise);
        Assert.Throws<IOException>(() =>
        {
            for (var i = 0; i < 60; i++) image.Write(noise);
            store.WriteTo(heap, Progress.Silent, CancellationToken.None);
        });
    }
}
