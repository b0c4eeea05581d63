using OsBuild.Images.Streams;

namespace OsBuild.Tests.Images.Streams;

public sealed class PrefetchStreamTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(4096)]
    [InlineData(100_001)]
    public void Gives_the_bytes_of_the_source(int length)
    {
        var content = new byte[length];
        new Random(length).NextBytes(content);
        foreach (var (size, count) in ((int, int)[])[(1, 2), (7, 3), (1000, 2), (1 << 20, 4)])
        {
            using var stream = new PrefetchStream(new MemoryStream(content), size, count);
            var all = new MemoryStream();
            stream.CopyTo(all, 777);
            Assert.Equal(content, all.ToArray());
            Assert.Equal(0, stream.Read(new byte[1]));
            Assert.Equal(length, stream.Position);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(999)]
    [InlineData(1000)]
    [InlineData(5500)]
    public void An_error_comes_behind_all_bytes_before_it(int good)
    {
        using var stream = new PrefetchStream(new FailingStream(good), 1000, 2);
        var buffer = new byte[good];
        stream.ReadExactly(buffer);
        for (var i = 0; i < 3; i++) Assert.Throws<IOException>(() => stream.Read(new byte[1]));
    }

    [Fact]
    public void Reads_no_further_ahead_than_its_buffers()
    {
        var source = new CountingSource();
        using var stream = new PrefetchStream(source, 1000, 3);
        stream.ReadExactly(new byte[1]);
        Thread.Sleep(50);
        Assert.InRange(source.Given, 1000, 3000);
    }

    [Fact]
    public void Disposing_in_the_middle_ends_the_thread_and_the_source()
    {
        var source = new CountingSource();
        var stream = new PrefetchStream(source, 1000, 2);
        stream.ReadExactly(new byte[1500]);
        stream.Dispose();
        stream.Dispose();
        Assert.True(source.Disposed);
        Assert.Throws<ObjectDisposedException>(() => stream.Read(new byte[1]));
    }

    private sealed class FailingStream(int good) : MemoryStream(new byte[good])
    {
        public override int Read(byte[] buffer, int offset, int count) =>
            base.Read(buffer, offset, Math.Min(count, 600)) is > 0 and var got ? got : throw new IOException("The cable was pulled.");
    }

    private sealed class CountingSource : MemoryStream
    {
        public long Given { get; private set; }

        public bool Disposed { get; private set; }

        public override int Read(byte[] buffer, int offset, int count)
        {
            Given += count;
            return count;
        }

        protected override void Dispose(bool disposing)
        {
            Disposed = true;
            base.Dispose(disposing);
        }
    }
}
