using System.Globalization;
using System.Text;

namespace OsBuild.Supervisor.Linux;

/// <summary>A line of /proc/self/mountinfo (proc(5)).</summary>
internal sealed record MountInfo(int Id, int Parent, string Device, string Root, string Target, string Type, string Source, string Options)
{
    /// <summary>True for file systems that keep their data somewhere: those have to be clean at power-off.</summary>
    public bool IsOnDisk => Type is "ext4" or "ext3" or "ext2" or "vfat" or "exfat" or "btrfs" or "xfs" or "f2fs" or "squashfs" or "erofs";

    /// <summary>Reads the whole file; lines that cannot be understood are left out.</summary>
    public static IReadOnlyList<MountInfo> Parse(string text) =>
        [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(ParseLine).OfType<MountInfo>()];

    public static IReadOnlyList<MountInfo> Current() => Parse(File.ReadAllText("/proc/self/mountinfo"));

    // 36 35 98:0 /root /target rw,noatime shared:1 - ext3 /dev/root rw,errors=continue
    private static MountInfo? ParseLine(string line)
    {
        var fields = line.Split(' ');
        var dash = Array.IndexOf(fields, "-");
        if (dash < 6 || fields.Length < dash + 3) return null;
        if (!int.TryParse(fields[0], CultureInfo.InvariantCulture, out var id) || !int.TryParse(fields[1], CultureInfo.InvariantCulture, out var parent)) return null;
        return new MountInfo(id, parent, fields[2], Unescape(fields[3]), Unescape(fields[4]), fields[dash + 1], Unescape(fields[dash + 2]), fields[5]);
    }

    /// <summary>Space, tab, newline and backslash come as three octal digits.</summary>
    private static string Unescape(string text)
    {
        if (!text.Contains('\\')) return text;
        var bytes = new List<byte>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 3 < text.Length && text[(i + 1)..(i + 4)].All(c => c is >= '0' and <= '7'))
            {
                bytes.Add((byte)Convert.ToInt32(text[(i + 1)..(i + 4)], 8));
                i += 3;
            }
            else
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(text[i].ToString()));
            }
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }
}
