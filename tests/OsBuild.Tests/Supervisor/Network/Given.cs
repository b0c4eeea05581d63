using System.Buffers.Binary;
using System.Net;
using OsBuild.Supervisor.Network;

namespace OsBuild.Tests.Supervisor.Network;

/// <summary>A server's messages.</summary>
internal static class Given
{
    public static readonly byte[] Hardware = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
    public static readonly DhcpIdentity Who = new(Hardware, "osbuild-abc123");
    public const uint Transaction = 0xdecaf001;

    public static DhcpMessage Ack(IReadOnlyDictionary<byte, byte[]>? more = null) => From(DhcpType.Ack, Transaction, more);

    public static DhcpMessage From(DhcpType type, uint transaction, IReadOnlyDictionary<byte, byte[]>? more = null, string address = "10.0.0.20", string server = "10.0.0.1")
    {
        var options = new Dictionary<byte, byte[]>
        {
            [DhcpOption.MessageType] = [(byte)type],
            [DhcpOption.ServerId] = IPAddress.Parse(server).GetAddressBytes(),
            [DhcpOption.Mask] = [255, 255, 255, 0],
            [DhcpOption.Router] = [10, 0, 0, 1],
            [DhcpOption.LeaseTime] = Number(3600),
        };
        foreach (var (code, value) in more ?? new Dictionary<byte, byte[]>()) options[code] = value;
        return new DhcpMessage { FromServer = true, Transaction = transaction, YourAddress = IPAddress.Parse(address), Hardware = Hardware, Options = options };
    }

    public static DhcpLease? Lease(IReadOnlyDictionary<byte, byte[]> more) => DhcpLease.From(Ack(more));

    public static byte[] Number(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }
}
