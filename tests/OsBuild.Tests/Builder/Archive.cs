using System.Formats.Tar;
using System.Text;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Builder;

/// <summary>Makes tar archives as bitbake does: pax format, names from <c>./</c>, numeric owners, one time stamp.</summary>
internal sealed class Archive : IDisposable
{
    private static readonly DateTimeOffset Time = DateTimeOffset.FromUnixTimeSeconds(1302044400);
    private readonly MemoryStream _bytes = new();
    private readonly TarWriter _tar;

    public Archive() => _tar = new TarWriter(_bytes, TarEntryFormat.Pax, leaveOpen: true);

    public Archive Directory(string path, int mode = 0x1ED) => Add(new PaxTarEntry(TarEntryType.Directory, "./" + path), mode);

    public Archive File(string path, byte[] content, int mode = 0x1A4) =>
        Add(new PaxTarEntry(TarEntryType.RegularFile, "./" + path) { DataStream = new MemoryStream(content) }, mode);

    public Archive File(string path, string content, int mode = 0x1A4) => File(path, Encoding.UTF8.GetBytes(content), mode);

    public Archive Link(string path, string target) => Add(new PaxTarEntry(TarEntryType.SymbolicLink, "./" + path) { LinkName = target }, 0x1FF);

    private Archive Add(PaxTarEntry entry, int mode)
    {
        entry.Mode = (UnixFileMode)mode;
        entry.ModificationTime = Time;
        _tar.WriteEntry(entry);
        return this;
    }

    public byte[] Plain()
    {
        _tar.Dispose();
        return _bytes.ToArray();
    }

    public void Dispose() => _tar.Dispose();

    public byte[] Zstd() => Encode(Plain(), Codec.Zstd);

    public byte[] Gzip() => Encode(Plain(), Codec.Gzip);

    public static byte[] Encode(byte[] plain, Codec codec)
    {
        var to = new MemoryStream();
        using (var encoder = Codecs.OpenWrite(to, codec, 3, 1)) encoder.Write(plain);
        return to.ToArray();
    }
}
