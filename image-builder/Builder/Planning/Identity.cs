using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>The ids of an image: same inputs, same bytes. The build id covers what makes the operating system (board, deploy directory,
/// supervisor), not the user's configuration: that changes without changing what the device boots. The ids of disk, partitions and file
/// systems come from what lies in the root alone, so that another boot file does not change the root.</summary>
/// <param name="BuildId">Digest of all that makes the system, in hexadecimal.</param>
/// <param name="RootId">Digest of what lies in the root, in hexadecimal.</param>
internal sealed record Identity(string BuildId, string RootId)
{
    /// <summary>Digests everything that makes the system.</summary>
    /// <param name="board">The board's name.</param>
    /// <param name="inputs">Every input, in any order.</param>
    public static Identity From(string board, IReadOnlyList<InputDigest> inputs) =>
        new(Digest("osbuild image 1", board, inputs), Digest("osbuild root 1", board, inputs.Where(i => i.InRoot)));

    private static string Digest(string kind, string board, IEnumerable<InputDigest> inputs)
    {
        var text = new StringBuilder(kind).Append('\n').Append(board).Append('\n');
        foreach (var input in inputs.OrderBy(i => i.Role, StringComparer.Ordinal)) text.Append(input.Role).Append(' ').Append(input.Sha256).Append('\n');
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    /// <summary>An id for one thing of the image.</summary>
    public Guid For(string thing)
    {
        Span<byte> bytes = stackalloc byte[32];
        SHA256.HashData(Encoding.UTF8.GetBytes($"{RootId}\n{thing}"), bytes);
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

/// <summary>An input and its digest.</summary>
/// <param name="Role">What it is for; no two inputs share one.</param>
/// <param name="Sha256">Digest of its bytes in lower-case hexadecimal.</param>
/// <param name="InRoot">True when it ends up in the root file system.</param>
internal readonly record struct InputDigest(string Role, string Sha256, bool InRoot);
