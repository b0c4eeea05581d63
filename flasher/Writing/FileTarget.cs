using Microsoft.Win32.SafeHandles;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Writing;

/// <summary>An ordinary file written as if it were a card. Its length is the card's; an empty file grows to what is needed.</summary>
internal sealed class FileTarget : IMedium
{
    private readonly SafeFileHandle _file;

    public FileTarget(string path, long sizeWhenEmpty)
    {
        Name = path;
        try
        {
            _file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException($"{path} cannot be opened for writing ({e.Message.TrimEnd('.')}); nothing was written.");
        }

        var length = RandomAccess.GetLength(_file);
        Size = length > 0 ? length : sizeWhenEmpty;
        if (length == 0 && sizeWhenEmpty < long.MaxValue) RandomAccess.SetLength(_file, sizeWhenEmpty);
    }

    public string Name { get; }

    public long Size { get; }

    public int SectorSize => 512;

    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(_file, bytes, offset);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"Writing to {Name} failed at offset {offset}: {e.Message.TrimEnd('.')}.", e);
        }
    }

    public void Read(long offset, Span<byte> into)
    {
        for (var done = 0; done < into.Length;)
        {
            var got = RandomAccess.Read(_file, into[done..], offset + done);
            if (got == 0)
            {
                into[done..].Clear();
                return;
            }

            done += got;
        }
    }

    public void Flush() => RandomAccess.FlushToDisk(_file);

    public void DropCaches()
    {
        // POSIX_FADV_DONTNEED; a file on a RAM disk has nowhere else to be.
        if (OperatingSystem.IsLinux()) Libc.Advise(_file, 0, 0, 4);
    }

    public bool TryDiscard(long offset, long length) => false;

    public void Dispose() => _file.Dispose();
}
