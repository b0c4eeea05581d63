using System.Buffers.Binary;
using System.Globalization;

namespace OsBuild.Images.Trees;

/// <summary>Access control lists in the form of the xattr system calls (linux/posix_acl_xattr.h): a version word 2, then tag, permissions
/// and id of each entry in the order of the tags.</summary>
internal static class PosixAcl
{
    public const uint Version = 2;

    public const uint NoId = uint.MaxValue;

    public const ushort UserObject = 0x01, User = 0x02, GroupObject = 0x04, Group = 0x08, Mask = 0x10, Other = 0x20;

    /// <summary>Reads the text form of tar archives: <c>user::rwx,user:1000:r-x,group::r-x,mask::r-x,other::---</c>; star adds the
    /// number behind a name (<c>user:lp:rw-:7</c>).</summary>
    /// <returns>Null when the text says no more than permission bits do.</returns>
    /// <exception cref="ImageException">An entry is not of that form, or names a user without the number.</exception>
    public static byte[]? FromText(string text)
    {
        var entries = new List<(ushort Tag, uint Id, ushort Permissions)>();
        foreach (var part in text.Split([',', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (part.StartsWith('#')) continue;
            var fields = part.Split(':');
            if (fields.Length < 3) throw Corrupt(part);
            var named = fields[1].Length > 0;
            var tag = (fields[0], named) switch
            {
                ("user" or "u", false) => UserObject,
                ("user" or "u", true) => User,
                ("group" or "g", false) => GroupObject,
                ("group" or "g", true) => Group,
                ("mask" or "m", false) => Mask,
                ("other" or "o", false) => Other,
                _ => throw Corrupt(part),
            };
            entries.Add((tag, named ? Id(fields, part) : NoId, Permissions(fields[2], part)));
        }

        return entries.Count <= 3 ? null : Encode(entries.OrderBy(e => e.Tag).ThenBy(e => e.Id));
    }

    private static byte[] Encode(IEnumerable<(ushort Tag, uint Id, ushort Permissions)> entries)
    {
        var acl = new List<byte>(64);
        Span<byte> word = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(word, Version);
        acl.AddRange(word[..4]);
        foreach (var (tag, id, permissions) in entries)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(word, tag);
            BinaryPrimitives.WriteUInt16LittleEndian(word[2..], permissions);
            BinaryPrimitives.WriteUInt32LittleEndian(word[4..], id);
            acl.AddRange(word);
        }

        return [.. acl];
    }

    private static uint Id(string[] fields, string part)
    {
        var number = fields.Length > 3 ? fields[3] : fields[1];
        return uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id
            : throw new ImageException(ImageErrorKind.Unsupported, $"The ACL entry {part} names an owner without its number; pack the archive with --numeric-owner.");
    }

    private static ushort Permissions(string text, string part)
    {
        ushort bits = 0;
        foreach (var letter in text) bits |= letter switch { 'r' => 4, 'w' => 2, 'x' => 1, '-' => 0, _ => throw Corrupt(part) };
        return bits;
    }

    private static ImageException Corrupt(string part) => new(ImageErrorKind.Corrupt, $"The ACL entry {part} in the tar archive is not sound; make the archive again.");
}
