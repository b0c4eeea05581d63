using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace OsBuild.Supervisor.Network;

/// <summary>Option 53.</summary>
internal enum DhcpType : byte
{
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
}

/// <summary>Option codes, RFC 2132 and those named.</summary>
internal static class DhcpOption
{
    public const byte Mask = 1, Router = 3, Dns = 6, HostName = 12, Domain = 15, Mtu = 26, Broadcast = 28, Ntp = 42, RequestedAddress = 50,
        LeaseTime = 51, Overload = 52, MessageType = 53, ServerId = 54, ParameterList = 55, MaxSize = 57, Renewal = 58, Rebinding = 59,
        VendorClass = 60, ClientId = 61, ClasslessRoutes = 121; // RFC 3442
}

/// <summary>A DHCPv4 message (RFC 2131 §2), Ethernet only.</summary>
internal sealed record DhcpMessage
{
    private const int HeaderSize = 236;
    private const int MinimumSize = 300; // old relays drop shorter ones (RFC 1542 §2.1)
    private static readonly byte[] Cookie = [99, 130, 83, 99];

    public required bool FromServer { get; init; }
    public required uint Transaction { get; init; }
    public ushort Seconds { get; init; }

    /// <summary>Asks for answers by broadcast: an interface without an address cannot take others.</summary>
    public bool Broadcast { get; init; }
    public IPAddress ClientAddress { get; init; } = IPAddress.Any;
    public IPAddress YourAddress { get; init; } = IPAddress.Any;
    public required ReadOnlyMemory<byte> Hardware { get; init; }

    /// <summary>Options by code; parts of a long one are joined (RFC 3396).</summary>
    public required IReadOnlyDictionary<byte, byte[]> Options { get; init; }

    public DhcpType? Type => Options.TryGetValue(DhcpOption.MessageType, out var v) && v.Length == 1 ? (DhcpType)v[0] : null;

    /// <summary>A message from the network; null for anything that is not one. Never throws: what comes from the network may be anything.</summary>
    public static DhcpMessage? Parse(ReadOnlySpan<byte> from)
    {
        // 0x00 op, 0x01 htype, 0x02 hlen, 0x03 hops, 0x04 xid, 0x08 secs, 0x0a flags, 0x0c ciaddr, 0x10 yiaddr, 0x14 siaddr, 0x18 giaddr,
        // 0x1c chaddr[16], 0x2c sname[64], 0x6c file[128], 0xec options
        if (from.Length < HeaderSize + 4 || from[0] is not (1 or 2) || from[1] != 1 || from[2] != 6) return null;
        if (!from.Slice(HeaderSize, 4).SequenceEqual(Cookie)) return null;
        var options = new Dictionary<byte, byte[]>();
        if (!ReadOptions(from[(HeaderSize + 4)..], options)) return null;
        if (options.TryGetValue(DhcpOption.Overload, out var overload) && overload.Length == 1)
        {
            if ((overload[0] & 1) != 0 && !ReadOptions(from.Slice(0x6c, 128), options)) return null;
            if ((overload[0] & 2) != 0 && !ReadOptions(from.Slice(0x2c, 64), options)) return null;
        }

        return new DhcpMessage
        {
            FromServer = from[0] == 2,
            Transaction = BinaryPrimitives.ReadUInt32BigEndian(from[4..]),
            Seconds = BinaryPrimitives.ReadUInt16BigEndian(from[8..]),
            Broadcast = (from[0x0a] & 0x80) != 0,
            ClientAddress = new IPAddress(from.Slice(0x0c, 4)),
            YourAddress = new IPAddress(from.Slice(0x10, 4)),
            Hardware = from.Slice(0x1c, 6).ToArray(),
            Options = options,
        };
    }

    public byte[] ToBytes()
    {
        var bytes = new List<byte>(576);
        Span<byte> header = stackalloc byte[HeaderSize];
        header.Clear();
        header[0] = (byte)(FromServer ? 2 : 1);
        header[1] = 1;
        header[2] = 6;
        BinaryPrimitives.WriteUInt32BigEndian(header[4..], Transaction);
        BinaryPrimitives.WriteUInt16BigEndian(header[8..], Seconds);
        if (Broadcast) header[0x0a] = 0x80;
        ClientAddress.TryWriteBytes(header[0x0c..], out _);
        YourAddress.TryWriteBytes(header[0x10..], out _);
        Hardware.Span.CopyTo(header[0x1c..]);
        bytes.AddRange(header);
        bytes.AddRange(Cookie);

        // The type first: some servers look no further.
        foreach (var (code, value) in Options.OrderBy(o => o.Key == DhcpOption.MessageType ? 0 : 1).ThenBy(o => o.Key))
            foreach (var part in value.Length == 0 ? [[]] : value.Chunk(255))
                bytes.AddRange([code, (byte)part.Length, .. part]);
        bytes.Add(255);
        while (bytes.Count < MinimumSize) bytes.Add(0);
        return [.. bytes];
    }

    /// <summary>An option that is one address, or null.</summary>
    public IPAddress? Address(byte code) => Addresses(code) is [var first, ..] ? first : null;

    /// <summary>An option that is a list of addresses; what is left over after the last whole one is ignored.</summary>
    public IReadOnlyList<IPAddress> Addresses(byte code) =>
        Options.TryGetValue(code, out var v) ? [.. v.Chunk(4).Where(c => c.Length == 4).Select(c => new IPAddress(c)).Where(a => !a.Equals(IPAddress.Any))] : [];

    public uint? Number(byte code) => Options.TryGetValue(code, out var v) && v.Length == 4 ? BinaryPrimitives.ReadUInt32BigEndian(v) : null;

    /// <summary>Text without the zero some servers end it with; null when it holds anything but printable ASCII.</summary>
    public string? Text(byte code)
    {
        if (!Options.TryGetValue(code, out var v)) return null;
        var text = Encoding.Latin1.GetString(v).TrimEnd('\0');
        return text.Length > 0 && text.All(c => c is > ' ' and < '\x7f') ? text : null;
    }

    /// <summary>False when an option runs past the end.</summary>
    private static bool ReadOptions(ReadOnlySpan<byte> from, Dictionary<byte, byte[]> options)
    {
        for (var at = 0; at < from.Length;)
        {
            var code = from[at++];
            if (code == 0) continue;
            if (code == 255) return true;
            if (at >= from.Length) return false;
            var length = from[at++];
            if (at + length > from.Length) return false;
            var value = from.Slice(at, length).ToArray();
            options[code] = options.TryGetValue(code, out var before) ? [.. before, .. value] : value;
            at += length;
        }

        return true; // without an end mark: seen from real servers
    }
}
