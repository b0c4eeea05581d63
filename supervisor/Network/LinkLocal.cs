using System.Net;
using System.Security.Cryptography;

namespace OsBuild.Supervisor.Network;

/// <summary>An address in 169.254/16 (RFC 3927), the same for the same hardware each time. Pure.</summary>
internal static class LinkLocal
{
    public const int PrefixLength = 16;

    /// <param name="attempt">0, then 1, 2 ... when another machine has the address.</param>
    public static IPAddress For(ReadOnlySpan<byte> hardware, int attempt = 0)
    {
        Span<byte> digest = stackalloc byte[32];
        SHA256.HashData([.. hardware, (byte)attempt], digest);
        // The first and last 256 addresses are reserved (§2.1).
        return new IPAddress([169, 254, (byte)(1 + (digest[0] % 254)), digest[1]]);
    }
}
