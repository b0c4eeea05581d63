using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>The ids of an image, all derived from one build id: same inputs, same bytes. The build id covers what makes the operating system
/// (board, deploy directory, supervisor), not the user's configuration: that changes without changing what the device boots.</summary>
internal sealed record Identity(string BuildId)
{
    /// <summary>Digests everything that makes the system.</summary>
    /// <param name="board">The board's name.</param>
    /// <param name="inputs">Role and SHA-256 of every input, in any order.</param>
    public static Identity From(string board, IEnumerable<(string Role, byte[] Digest)> inputs)
    {
        var text = new StringBuilder("osbuild image 1\n").Append(board).Append('\n');
        foreach (var (role, digest) in inputs.OrderBy(i => i.Role, StringComparer.Ordinal)) text.Append(role).Append(' ').Append(Convert.ToHexStringLower(digest)).Append('\n');
        return new(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()))));
    }

    /// <summary>An id for one thing of the image.</summary>
    public Guid For(string thing)
    {
        Span<byte> bytes = stackalloc byte[32];
        SHA256.HashData(Encoding.UTF8.GetBytes($"{BuildId}\n{thing}"), bytes);
        // RFC 9562 §5.8: version 8 (vendor's own derivation), variant 10.
        bytes[6] = (byte)(bytes[6] & 0x0F | 0x80);
        bytes[8] = (byte)(bytes[8] & 0x3F | 0x80);
        return new(bytes[..16], bigEndian: true);
    }

    /// <summary>The serial number of a FAT volume.</summary>
    public uint VolumeId(string thing)
    {
        Span<byte> bytes = stackalloc byte[16];
        For(thing).TryWriteBytes(bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }
}
