using OsBuild.Images.Streams;

namespace OsBuild.Tests.Images.Streams;

public sealed class RewindStreamTests
{
    private static byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        new Random(1).NextBytes(bytes);
        return bytes;
    }

    [Theory]
    [InlineData(100_000)]
    [InlineData(8192)]
    [InlineData(1)]
    public void Reads_anywhere_what_the_forward_stream_holds(int length)
    {
        var (bytes, random) = (Bytes(length), new Random(2));
        using var stream = new RewindStream(() => new MemoryStream(bytes));
        for (var i = 0; i < 300; i++)
        {
            var (at, wanted) = (random.Next(length + 5000), random.Next(1, 9000));
            var got = new byte[wanted];
            stream.Position = at;
            var count = stream.ReadAtLeast(got, wanted, throwOnEndOfStream: false);
            Assert.Equal(Math.Clamp(length - at, 0, wanted), count);
            Assert.True(count == 0 || bytes.AsSpan(at, count).SequenceEqual(got.AsSpan(0, count)));
        }
    }

    [Fact]
    public void What_was_read_once_does_not_open_the_stream_again()
    {
        var opened = 0;
        using var stream = new RewindStream(() => { opened++; return new MemoryStream(Bytes(1 << 20)); });
        var buffer = new byte[10_000];
        foreach (var at in (long[])[0, 500_000, 0, 505_000, 900_000, 2000])
        {
            stream.Position = at;
            stream.ReadExactly(buffer);
        }

        Assert.Equal(1, opened);
        stream.Position = 250_000;
        stream.ReadExactly(buffer);
        Assert.Equal(2, opened);
    }

    [Fact]
    public void Writes_go_beside_the_stream_below_and_are_told_in_order()
    {
        var (below, random) = (Bytes(50_000), new Random(3));
        var (before, expected) = (below.ToArray(), below.ToArray());
        using var overlay = new OverlayStream(new MemoryStream(below), below.Length);
        for (var i = 0; i < 40; i++)
        {
            var piece = new byte[random.Next(1, 2000)];
            random.NextBytes(piece);
            var at = random.Next(below.Length - piece.Length);
            overlay.Position = at;
            overlay.Write(piece);
            piece.CopyTo(expected, at);
            var back = new byte[below.Length];
            overlay.Position = 0;
            overlay.ReadExactly(back);
            Assert.Equal(expected, back);
        }

        Assert.Equal(before, below);
        foreach (var edit in overlay.Edits) edit.Bytes.Span[..(int)Math.Min(edit.Bytes.Length, before.Length - edit.Offset)].CopyTo(before.AsSpan((int)edit.Offset));
        Assert.Equal(expected, before);
        Assert.True(overlay.Edits.Zip(overlay.Edits.Skip(1)).All(p => p.First.Offset + p.First.Bytes.Length < p.Second.Offset), "in order, none touching");
    }
}
