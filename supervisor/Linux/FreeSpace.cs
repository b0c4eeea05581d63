using System.Text;
using OsBuild.Supervisor.State;
using Tmds.Linux;

namespace OsBuild.Supervisor.Linux;

/// <summary>How much room a file system has.</summary>
internal static class FreeSpace
{
    /// <summary>The room for ordinary users on the file system of <paramref name="path"/>; ample when it cannot be told.</summary>
    public static unsafe DiskState Read(string path)
    {
        statvfs room;
        fixed (byte* bytes = Encoding.UTF8.GetBytes(path + '\0'))
            if (LibC.statvfs(bytes, &room) != 0) return DiskState.Ample;
        var block = (long)(ulong)room.f_frsize;
        // File systems that make inodes as they need them (btrfs) say 0.
        var inodes = (long)(ulong)room.f_files;
        return new(block * (long)(ulong)room.f_bavail, block * (long)(ulong)room.f_blocks, inodes == 0 ? long.MaxValue : (long)(ulong)room.f_favail, inodes == 0 ? long.MaxValue : inodes);
    }
}
