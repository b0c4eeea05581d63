using System.Formats.Tar;
using Docker.DotNet.Models;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Engine;

/// <summary>An image as a place to read files from: the engine gets it like any other, a container is made of it and never started, and the files are
/// read out of that.</summary>
/// <param name="engine">The engine.</param>
/// <param name="archives">The images that lie on the device as files.</param>
/// <param name="container">Name of the container; one that a broken-off run left is removed.</param>
internal sealed class ImageContent(EngineClient engine, ArchiveIndex archives, string container)
{
    /// <summary>Gets an image: from an archive on the device, else from the registry; one that is there and cannot be pulled is taken as it is.</summary>
    /// <returns>Its id, and whether it came by this.</returns>
    /// <exception cref="EngineRefusedException">The engine cannot have it now.</exception>
    public async Task<(string Id, bool Came)> GetAsync(string image, CancellationToken stop)
    {
        var before = await engine.InspectImageAsync(image, stop);
        await PullAsync(image, before is not null, stop);
        var now = await engine.InspectImageAsync(image, stop) ?? throw new EngineRefusedException(null, $"the engine does not know {image}");
        return (now.ID, before?.ID != now.ID);
    }

    /// <summary>Reads out of an image for as long as <paramref name="read"/> takes.</summary>
    public async Task<T> ReadAsync<T>(string imageId, Func<OpenImage, Task<T>> read, CancellationToken stop)
    {
        await engine.RemoveAsync(container, stop);
        var id = await engine.CreateAsync(new CreateContainerParameters { Name = container, Image = imageId, Cmd = ["/none"] }, stop);
        try
        {
            return await read(new(engine, id));
        }
        finally
        {
            await engine.RemoveAsync(id, CancellationToken.None);
        }
    }

    private async Task PullAsync(string image, bool there, CancellationToken stop)
    {
        if (archives.Read().TryGetValue(ImageReference.Normalize(image), out var archive))
        {
            await using var file = File.OpenRead(archive);
            await engine.LoadAsync(file, stop);
            return;
        }

        try
        {
            await engine.PullAsync(image, null, null, stop);
        }
        catch (Exception e) when (there && e is EngineRefusedException or EngineUnreachableException)
        {
        }
    }
}

/// <summary>The files of an image.</summary>
internal sealed class OpenImage(EngineClient engine, string id)
{
    /// <summary>Hands each entry at or below a path to <paramref name="take"/>, with its name in the archive; false when there is nothing of this name.</summary>
    /// <param name="path">Absolute path in the image.</param>
    /// <param name="take">Given the entry and, for a file, its content: a stream that ends where the file ends.</param>
    /// <param name="stop">Ends it.</param>
    public async Task<bool> EachAsync(string path, Func<TarEntry, Stream?, Task> take, CancellationToken stop)
    {
        await using var archive = await engine.ReadFileAsync(id, path, stop);
        if (archive is null) return false;
        await using var tar = new TarReader(archive);
        while (await tar.GetNextEntryAsync(cancellationToken: stop) is { } entry)
            await take(entry, entry is { EntryType: TarEntryType.RegularFile or TarEntryType.V7RegularFile } ? new EntryStream(entry.DataStream ?? Stream.Null, entry.Length) : null);
        return true;
    }

    /// <summary>Never asks for a byte behind the last: the engine client's stream takes that as a broken connection. A file that breaks off is told.</summary>
    private sealed class EntryStream(Stream content, long length) : Stream
    {
        private long left = length;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (left == 0) return 0;
            var got = await content.ReadAsync(buffer[..(int)Math.Min(left, buffer.Length)], cancellationToken);
            if (got == 0) throw new EndOfStreamException("the engine broke off in the middle of the file");
            left -= got;
            return got;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Flush() => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
