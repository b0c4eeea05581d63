using System.Buffers.Binary;
using System.Net;
using System.Numerics;

namespace OsBuild.Supervisor.Network;

/// <summary>A route a server handed out.</summary>
/// <param name="Gateway">Null when the network is on the link.</param>
internal sealed record DhcpRoute(IPAddress Destination, int PrefixLength, IPAddress? Gateway)
{
    public override string ToString() => $"{Destination}/{PrefixLength}{(Gateway is null ? "" : $" via {Gateway}")}";
}

/// <summary>What an interface gets for a time.</summary>
internal sealed record DhcpLease
{
    public required IPAddress Address { get; init; }
    public required int PrefixLength { get; init; }
    public required IPAddress Server { get; init; }
    public IReadOnlyList<DhcpRoute> Routes { get; init; } = [];
    public IReadOnlyList<IPAddress> Dns { get; init; } = [];
    public IReadOnlyList<IPAddress> Ntp { get; init; } = [];
    public string? Domain { get; init; }
    public int? Mtu { get; init; }

    /// <summary>Length of the lease, T1 and T2 (RFC 2131 §4.4.5).</summary>
    public required TimeSpan Duration { get; init; }
    public required TimeSpan Renew { get; init; }
    public required TimeSpan Rebind { get; init; }

    public IPAddress BroadcastAddress => new(BitConverter.GetBytes(BinaryPrimitives.ReverseEndianness(ToUInt(Address) | ~MaskOf(PrefixLength))));

    /// <summary>The lease in an offer or acknowledgement; null when it makes no sense (no address, no server, a mask with holes, no time).</summary>
    public static DhcpLease? From(DhcpMessage message)
    {
        if (message.Address(DhcpOption.ServerId) is not { } server || !IsUsable(message.YourAddress)) return null;
        var prefix = message.Address(DhcpOption.Mask) is { } mask ? PrefixOf(mask) : ClassOf(message.YourAddress);
        if (prefix is null) return null;
        var duration = Math.Min(message.Number(DhcpOption.LeaseTime) ?? 3600, 10 * 365 * 86400u); // 0xffffffff means for ever
        if (duration < 10) return null;
        double renew = message.Number(DhcpOption.Renewal) ?? duration * 0.5, rebind = message.Number(DhcpOption.Rebinding) ?? duration * 0.875;
        if (!(renew > 0 && renew < rebind && rebind < duration)) (renew, rebind) = (duration * 0.5, duration * 0.875);
        return new DhcpLease
        {
            Address = message.YourAddress,
            PrefixLength = prefix.Value,
            Server = server,
            Routes = RoutesOf(message),
            Dns = message.Addresses(DhcpOption.Dns),
            Ntp = message.Addresses(DhcpOption.Ntp),
            Domain = message.Text(DhcpOption.Domain),
            Mtu = message.Options.TryGetValue(DhcpOption.Mtu, out var mtu) && mtu.Length == 2 && BinaryPrimitives.ReadUInt16BigEndian(mtu) is >= 576 and var m ? m : null,
            Duration = TimeSpan.FromSeconds(duration),
            Renew = TimeSpan.FromSeconds(renew),
            Rebind = TimeSpan.FromSeconds(rebind),
        };
    }

    /// <summary>Classless routes; when they are there the router option must be ignored (RFC 3442).</summary>
    private static IReadOnlyList<DhcpRoute> RoutesOf(DhcpMessage message)
    {
        if (message.Options.TryGetValue(DhcpOption.ClasslessRoutes, out var bytes) && Classless(bytes) is { Count: > 0 } routes) return routes;
        return message.Address(DhcpOption.Router) is { } router ? [new DhcpRoute(IPAddress.Any, 0, router)] : [];
    }

    /// <summary>Null when the option is malformed: half a routing table is worse than the plain router.</summary>
    internal static IReadOnlyList<DhcpRoute>? Classless(ReadOnlySpan<byte> from)
    {
        var routes = new List<DhcpRoute>();
        Span<byte> destination = stackalloc byte[4];
        while (from.Length > 0)
        {
            int prefix = from[0], significant = (prefix + 7) / 8;
            if (prefix > 32 || from.Length < 1 + significant + 4) return null;
            destination.Clear();
            from.Slice(1, significant).CopyTo(destination);
            var gateway = new IPAddress(from.Slice(1 + significant, 4));
            var network = ToUInt(new IPAddress(destination)) & MaskOf(prefix);
            routes.Add(new DhcpRoute(new IPAddress(BitConverter.GetBytes(BinaryPrimitives.ReverseEndianness(network))), prefix, gateway.Equals(IPAddress.Any) ? null : gateway));
            from = from[(1 + significant + 4)..];
        }

        return routes;
    }

    /// <summary>Length of a mask, or null when its ones are not all at the front.</summary>
    internal static int? PrefixOf(IPAddress mask)
    {
        var bits = ToUInt(mask);
        var ones = BitOperations.PopCount(bits);
        return ones > 0 && bits == MaskOf(ones) ? ones : null;
    }

    private static int? ClassOf(IPAddress address) => (ToUInt(address) >> 24) switch { < 128 => 8, < 192 => 16, _ => 24 };

    private static bool IsUsable(IPAddress address) => (ToUInt(address) >> 24) is > 0 and < 224 and not 127;

    private static uint MaskOf(int prefix) => prefix == 0 ? 0 : uint.MaxValue << (32 - prefix);

    private static uint ToUInt(IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
}
