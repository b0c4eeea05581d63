using System.Buffers.Binary;
using System.Net;

namespace OsBuild.Supervisor.Network;

/// <summary>Builds rtnetlink(7) requests. Pure; host byte order is little-endian on every board this runs on.</summary>
internal sealed class RouteMessage
{
    public const ushort NewLink = 16, NewAddress = 20, DeleteAddress = 21, NewRoute = 24, DeleteRoute = 25;
    public const ushort Request = 1, Ack = 4, Replace = 0x100, Create = 0x400;

    private readonly List<byte> _bytes = [];

    private RouteMessage(ushort type, ushort flags, ReadOnlySpan<byte> body)
    {
        Span<byte> head = stackalloc byte[16];
        BinaryPrimitives.WriteUInt16LittleEndian(head[4..], type);
        BinaryPrimitives.WriteUInt16LittleEndian(head[6..], flags);
        _bytes.AddRange(head);
        _bytes.AddRange(body);
    }

    /// <summary>Sets or clears IFF_UP; an MTU of 0 leaves it.</summary>
    public static RouteMessage LinkState(int index, bool up, int mtu = 0)
    {
        // struct ifinfomsg { u8 family; u8 pad; u16 type; s32 index; u32 flags; u32 change; }
        Span<byte> body = stackalloc byte[16];
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], index);
        BinaryPrimitives.WriteUInt32LittleEndian(body[8..], up ? 1u : 0u);
        BinaryPrimitives.WriteUInt32LittleEndian(body[12..], 1);
        var message = new RouteMessage(NewLink, Request | Ack, body);
        if (mtu > 0) message.Attribute(4, BitConverter.GetBytes(mtu)); // IFLA_MTU
        return message;
    }

    public static RouteMessage Address(bool add, int index, IPAddress address, int prefix, IPAddress? broadcast)
    {
        // struct ifaddrmsg { u8 family; u8 prefixlen; u8 flags; u8 scope; u32 index; }
        Span<byte> body = stackalloc byte[8];
        body[0] = 2; // AF_INET
        body[1] = (byte)prefix;
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], index);
        var message = new RouteMessage(add ? NewAddress : DeleteAddress, (ushort)(Request | Ack | (add ? Create | Replace : 0)), body);
        message.Attribute(2, address.GetAddressBytes()); // IFA_LOCAL
        message.Attribute(1, address.GetAddressBytes()); // IFA_ADDRESS
        if (broadcast is not null && add) message.Attribute(4, broadcast.GetAddressBytes());
        return message;
    }

    /// <param name="destination">Network address; 0.0.0.0/0 is the default route.</param>
    /// <param name="gateway">Null for a network that is on the link.</param>
    public static RouteMessage Route(bool add, int index, IPAddress destination, int prefix, IPAddress? gateway, int metric)
    {
        // struct rtmsg { u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags; }
        Span<byte> body = stackalloc byte[12];
        body[0] = 2;
        body[1] = (byte)prefix;
        body[4] = 254; // RT_TABLE_MAIN
        body[5] = 16; // RTPROT_DHCP
        body[6] = (byte)(gateway is null ? 253 : 0); // RT_SCOPE_LINK or RT_SCOPE_UNIVERSE
        body[7] = 1; // RTN_UNICAST
        var message = new RouteMessage(add ? NewRoute : DeleteRoute, (ushort)(Request | Ack | (add ? Create | Replace : 0)), body);
        if (prefix > 0) message.Attribute(1, destination.GetAddressBytes()); // RTA_DST
        if (gateway is not null) message.Attribute(5, gateway.GetAddressBytes()); // RTA_GATEWAY
        message.Attribute(4, BitConverter.GetBytes(index)); // RTA_OIF
        message.Attribute(6, BitConverter.GetBytes(metric)); // RTA_PRIORITY
        return message;
    }

    /// <summary>The message with its length and sequence number.</summary>
    public byte[] ToBytes(uint sequence)
    {
        byte[] bytes = [.. _bytes];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, bytes.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), sequence);
        return bytes;
    }

    /// <summary>errno of an NLMSG_ERROR answer to this sequence number (0 is an acknowledgement), or null for anything else.</summary>
    public static int? Answer(ReadOnlySpan<byte> bytes, uint sequence)
    {
        if (bytes.Length < 20 || BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]) != 2) return null;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]) != sequence) return null;
        return -BinaryPrimitives.ReadInt32LittleEndian(bytes[16..]);
    }

    private void Attribute(ushort type, ReadOnlySpan<byte> value)
    {
        Span<byte> head = stackalloc byte[4];
        BinaryPrimitives.WriteUInt16LittleEndian(head, (ushort)(4 + value.Length));
        BinaryPrimitives.WriteUInt16LittleEndian(head[2..], type);
        _bytes.AddRange(head);
        _bytes.AddRange(value);
        while (_bytes.Count % 4 != 0) _bytes.Add(0);
    }
}
