using System.Buffers.Binary;
using OsBuild.Images;

namespace OsBuild.Supervisor.Clock;

/// <summary>An SNTP packet (RFC 4330 §4), without key and digest.</summary>
internal readonly record struct SntpPacket(byte Header, byte Stratum, byte Poll, sbyte Precision, uint RootDelay, uint RootDispersion, uint Reference,
    ulong ReferenceTime, ulong Originate, ulong Receive, ulong Transmit) : IOnDisk<SntpPacket>
{
    // Seconds from 1900 to 1970, and of one era of 32 bits.
    private const ulong Epoch = 2_208_988_800, Era = 1UL << 32;

    public static int Size => 48;

    public int Leap => Header >> 6;
    public int Version => (Header >> 3) & 7;
    public int Mode => Header & 7;

    /// <summary>A client's question. The time in it is a nonce: the server sends it back, and no one else knows it.</summary>
    public static SntpPacket Question(ulong nonce) => new() { Header = (4 << 3) | 3, Transmit = nonce };

    public static SntpPacket Read(ReadOnlySpan<byte> from) => new(from[0], from[1], from[2], (sbyte)from[3],
        BinaryPrimitives.ReadUInt32BigEndian(from[0x04..]), BinaryPrimitives.ReadUInt32BigEndian(from[0x08..]), BinaryPrimitives.ReadUInt32BigEndian(from[0x0c..]),
        BinaryPrimitives.ReadUInt64BigEndian(from[0x10..]), BinaryPrimitives.ReadUInt64BigEndian(from[0x18..]),
        BinaryPrimitives.ReadUInt64BigEndian(from[0x20..]), BinaryPrimitives.ReadUInt64BigEndian(from[0x28..]));

    public void Write(Span<byte> to)
    {
        (to[0], to[1], to[2], to[3]) = (Header, Stratum, Poll, (byte)Precision);
        BinaryPrimitives.WriteUInt32BigEndian(to[0x04..], RootDelay);
        BinaryPrimitives.WriteUInt32BigEndian(to[0x08..], RootDispersion);
        BinaryPrimitives.WriteUInt32BigEndian(to[0x0c..], Reference);
        BinaryPrimitives.WriteUInt64BigEndian(to[0x10..], ReferenceTime);
        BinaryPrimitives.WriteUInt64BigEndian(to[0x18..], Originate);
        BinaryPrimitives.WriteUInt64BigEndian(to[0x20..], Receive);
        BinaryPrimitives.WriteUInt64BigEndian(to[0x28..], Transmit);
    }

    /// <summary>A 64-bit NTP time. Era 0 ends in 2036: small values are after that (RFC 4330 §3), as no device of ours lived before 1968.</summary>
    public static DateTimeOffset ToTime(ulong ntp)
    {
        var seconds = ntp >> 32;
        if (seconds < 0x8000_0000) seconds += Era;
        var ticks = (long)((ntp & 0xffff_ffff) * TimeSpan.TicksPerSecond >> 32);
        return DateTimeOffset.UnixEpoch.AddTicks(((long)(seconds - Epoch) * TimeSpan.TicksPerSecond) + ticks);
    }

    public static ulong FromTime(DateTimeOffset time)
    {
        var ticks = (ulong)(time - DateTimeOffset.UnixEpoch).Ticks;
        var seconds = (ticks / TimeSpan.TicksPerSecond) + Epoch;
        return (seconds % Era << 32) | ((ticks % TimeSpan.TicksPerSecond << 32) / TimeSpan.TicksPerSecond);
    }
}
