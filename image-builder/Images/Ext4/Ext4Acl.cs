using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Access control lists on the medium (fs/ext4/acl.h): version 1, and only named users and groups carry an id.</summary>
internal static class Ext4Acl
{
    private const uint DiskVersion = 1;

    /// <summary>From the form of the xattr system calls.</summary>
    public static byte[] ToDisk(string path, ReadOnlySpan<byte> acl)
    {
        if (acl.Length < 4 || (acl.Length - 4) % 8 != 0 || ReadUInt32LittleEndian(acl) != PosixAcl.Version)
            throw new ImageException(ImageErrorKind.Corrupt, $"{path} has an ACL that is not sound; set it again with setfacl.");
        var disk = new byte[acl.Length];
        WriteUInt32LittleEndian(disk, DiskVersion);
        var length = 4;
        for (var entry = acl[4..]; !entry.IsEmpty; entry = entry[8..])
        {
            var kept = IsNamed(entry) ? 8 : 4;
            entry[..kept].CopyTo(disk.AsSpan(length));
            length += kept;
        }

        return disk[..length];
    }

    /// <summary>To the form of the xattr system calls, or null when the bytes are no ACL.</summary>
    public static byte[]? FromDisk(ReadOnlySpan<byte> disk)
    {
        if (disk.Length < 4 || ReadUInt32LittleEndian(disk) != DiskVersion) return null;
        var acl = new List<byte>(4 + (disk.Length * 2));
        Span<byte> wide = stackalloc byte[8];
        WriteUInt32LittleEndian(wide, PosixAcl.Version);
        acl.AddRange(wide[..4]);
        for (disk = disk[4..]; !disk.IsEmpty;)
        {
            if (disk.Length < 4) return null;
            var kept = IsNamed(disk) ? 8 : 4;
            if (disk.Length < kept) return null;
            WriteUInt32LittleEndian(wide[4..], PosixAcl.NoId);
            disk[..kept].CopyTo(wide);
            acl.AddRange(wide);
            disk = disk[kept..];
        }

        return [.. acl];
    }

    private static bool IsNamed(ReadOnlySpan<byte> entry) => ReadUInt16LittleEndian(entry) is PosixAcl.User or PosixAcl.Group;
}
