using OsBuild.Supervisor.Identity;

namespace OsBuild.Supervisor.Linux;

/// <summary>The boot partition can be written only while somebody writes: FAT has no journal, and what nobody writes cannot be torn.</summary>
internal sealed class BootPartition : IDisposable
{
    private const ulong Quiet = Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec | Libc.MsNoAtime;
    private readonly string? mount;

    private BootPartition(string? mount) => this.mount = mount;

    /// <summary>Makes it writable until the result is disposed of; a folder that is no mount of its own is left as it is.</summary>
    public static BootPartition Open(string path)
    {
        if (MountInfo.Current().LastOrDefault(m => m.Target == path) is not { } boot || !boot.Options.Split(',').Contains("ro")) return new(null);
        Libc.Mount("none", path, null, Libc.MsRemount | Quiet, null);
        return new(path);
    }

    /// <summary>Bytes of the mounted partition that are free.</summary>
    public static long Free(string path) => new DriveInfo(path).AvailableFreeSpace;

    /// <summary>Writes over the first bytes of a file where they lie: nothing but its data changes, and 512 bytes of it are old or new after a power cut.</summary>
    public static void Overwrite(string path, ReadOnlySpan<byte> bytes)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.Read, 0);
        file.Write(bytes);
        file.Flush(flushToDisk: true);
    }

    /// <summary>Writes a file that takes the place of another one, or none; its folder is made.</summary>
    public static void Put(string path, ReadOnlySpan<byte> bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        DurableFile.Write(path, bytes);
    }

    public void Dispose()
    {
        if (mount is null) return;
        Libc.Sync();
        Libc.Mount("none", mount, null, Libc.MsRemount | Libc.MsRdOnly | Quiet, null);
    }
}
