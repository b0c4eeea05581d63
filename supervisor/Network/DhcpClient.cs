using System.Net;
using System.Text;

namespace OsBuild.Supervisor.Network;

/// <summary>Where a DHCP client is, RFC 2131 figure 5. Off means no cable.</summary>
internal enum DhcpPhase
{
    Off,
    Selecting,
    Requesting,

    /// <summary>Asking for the address of before: after a cable was pulled, or the worker restarted.</summary>
    Rebooting,
    Bound,
    Renewing,
    Rebinding,
}

/// <summary>Who is asking.</summary>
internal sealed record DhcpIdentity(ReadOnlyMemory<byte> Hardware, string HostName);

/// <summary>The client's whole state. Times are milliseconds of the monotonic clock.</summary>
/// <param name="Offer">The offer asked for.</param>
/// <param name="Lease">The lease held, or held before the cable was pulled.</param>
/// <param name="Due">When <see cref="DhcpEvent.Tick"/> has something to do.</param>
internal sealed record DhcpState(DhcpPhase Phase, uint Transaction, int Tries, long Started, long Due, DhcpLease? Offer, DhcpLease? Lease, long BoundAt, bool FellBack)
{
    public static readonly DhcpState Off = new(DhcpPhase.Off, 0, 0, 0, long.MaxValue, null, null, 0, false);
}

/// <summary>What happened.</summary>
internal abstract record DhcpEvent
{
    private DhcpEvent() { }

    public sealed record LinkUp : DhcpEvent;
    public sealed record LinkDown : DhcpEvent;
    public sealed record Tick : DhcpEvent;
    public sealed record Received(DhcpMessage Message) : DhcpEvent;

    /// <summary>Another machine uses the address (RFC 5227).</summary>
    public sealed record Conflict : DhcpEvent;
    public sealed record Stop : DhcpEvent;
}

/// <summary>What to do about it.</summary>
internal abstract record DhcpAction
{
    private DhcpAction() { }

    /// <param name="To">Null for broadcast.</param>
    public sealed record Send(DhcpMessage Message, IPAddress? To) : DhcpAction
    {
        public override string ToString() => $"{Message.Type} to {To?.ToString() ?? "all"}";
    }

    public sealed record Configure(DhcpLease Lease) : DhcpAction
    {
        public override string ToString() => $"configure {Lease.Address}/{Lease.PrefixLength}";
    }

    public sealed record Unconfigure : DhcpAction
    {
        public override string ToString() => "unconfigure";
    }

    /// <summary>No server answers: take a link-local address while asking on.</summary>
    public sealed record FallBack : DhcpAction
    {
        public override string ToString() => "fall back to a link-local address";
    }
}

/// <summary>A DHCPv4 client as a pure function: state and event in, state and actions out.</summary>
internal static class DhcpClient
{
    private const int TriesBeforeFallBack = 4, TriesPerOffer = 4, TriesRebooting = 3;
    private static readonly byte[] Wanted =
    [
        DhcpOption.Mask, DhcpOption.Router, DhcpOption.Dns, DhcpOption.Domain, DhcpOption.Mtu, DhcpOption.Broadcast, DhcpOption.Ntp,
        DhcpOption.LeaseTime, DhcpOption.ServerId, DhcpOption.Renewal, DhcpOption.Rebinding, DhcpOption.ClasslessRoutes,
    ];

    /// <param name="random">Fresh randomness: the next transaction id and the jitter of the retry.</param>
    public static (DhcpState State, IReadOnlyList<DhcpAction> Actions) Next(DhcpState state, DhcpEvent happened, long now, uint random, DhcpIdentity who) => happened switch
    {
        DhcpEvent.LinkUp => state.Lease is null ? Discover(state with { Tries = 0, FellBack = false }, now, random, who, first: true) : Reboot(state, now, random, who, first: true),
        DhcpEvent.LinkDown => (DhcpState.Off with { Lease = state.Lease, BoundAt = state.BoundAt }, [new DhcpAction.Unconfigure()]),
        DhcpEvent.Tick when now >= state.Due => OnTick(state, now, random, who),
        DhcpEvent.Received r when IsForUs(state, r.Message, who) => OnMessage(state, r.Message, now, random, who),
        DhcpEvent.Conflict when state.Lease is { } lease =>
            (Wait(DhcpState.Off with { Phase = DhcpPhase.Selecting, Transaction = random, Started = now }, now, 10_000),
                [new DhcpAction.Send(Message(DhcpType.Decline, random, 0, who, requested: lease.Address, server: lease.Server), null), new DhcpAction.Unconfigure()]),
        DhcpEvent.Stop when state.Lease is { } lease && state.Phase is DhcpPhase.Bound or DhcpPhase.Renewing or DhcpPhase.Rebinding =>
            (DhcpState.Off, [new DhcpAction.Send(Message(DhcpType.Release, random, 0, who, client: lease.Address, server: lease.Server), lease.Server)]),
        DhcpEvent.Stop => (DhcpState.Off, []),
        _ => (state, []),
    };

    private static (DhcpState, IReadOnlyList<DhcpAction>) OnTick(DhcpState state, long now, uint random, DhcpIdentity who)
    {
        switch (state.Phase)
        {
            case DhcpPhase.Selecting: return Discover(state, now, random, who, first: false);
            case DhcpPhase.Requesting when state.Tries < TriesPerOffer: return Request(state, state.Offer!, now, random, who);
            case DhcpPhase.Requesting: return Discover(state with { Tries = 0, Offer = null }, now, random, who, first: true);
            case DhcpPhase.Rebooting when state.Tries < TriesRebooting: return Reboot(state, now, random, who, first: false);
            case DhcpPhase.Rebooting: return Discover(state with { Tries = 0, Lease = null }, now, random, who, first: true);
            case DhcpPhase.Bound or DhcpPhase.Renewing or DhcpPhase.Rebinding: return Extend(state, now, random, who);
            case DhcpPhase.Off: return (state with { Due = long.MaxValue }, []);
            default: throw new System.Diagnostics.UnreachableException();
        }
    }

    private static (DhcpState, IReadOnlyList<DhcpAction>) Discover(DhcpState state, long now, uint random, DhcpIdentity who, bool first)
    {
        var started = first ? now : state.Started;
        var tries = first ? 1 : state.Tries + 1;
        var next = state with { Phase = DhcpPhase.Selecting, Transaction = random, Tries = tries, Started = started, Offer = null, Due = now + Patience(tries, random) };
        var message = Message(DhcpType.Discover, random, Seconds(now - started), who);
        if (tries < TriesBeforeFallBack || state.FellBack) return (next, [new DhcpAction.Send(message, null)]);
        return (next with { FellBack = true }, [new DhcpAction.FallBack(), new DhcpAction.Send(message, null)]);
    }

    private static (DhcpState, IReadOnlyList<DhcpAction>) Request(DhcpState state, DhcpLease offer, long now, uint random, DhcpIdentity who)
    {
        var tries = state.Phase == DhcpPhase.Requesting ? state.Tries + 1 : 1;
        var next = state with { Phase = DhcpPhase.Requesting, Tries = tries, Offer = offer, Due = now + Patience(tries, random) };
        return (next, [new DhcpAction.Send(Message(DhcpType.Request, state.Transaction, Seconds(now - state.Started), who, requested: offer.Address, server: offer.Server), null)]);
    }

    private static (DhcpState, IReadOnlyList<DhcpAction>) Reboot(DhcpState state, long now, uint random, DhcpIdentity who, bool first)
    {
        var started = first ? now : state.Started;
        var tries = first ? 1 : state.Tries + 1;
        var next = state with { Phase = DhcpPhase.Rebooting, Transaction = random, Tries = tries, Started = started, Due = now + Patience(tries, random) };
        return (next, [new DhcpAction.Send(Message(DhcpType.Request, random, Seconds(now - started), who, requested: state.Lease!.Address), null)]);
    }

    /// <summary>T1: ask the server; T2: ask all; end: give the address up. Between them, again after half of what is left, but not within a minute (RFC 2131 §4.4.5).</summary>
    private static (DhcpState, IReadOnlyList<DhcpAction>) Extend(DhcpState state, long now, uint random, DhcpIdentity who)
    {
        var lease = state.Lease!;
        long end = state.BoundAt + (long)lease.Duration.TotalMilliseconds, rebind = state.BoundAt + (long)lease.Rebind.TotalMilliseconds;
        if (now >= end)
        {
            var (next, actions) = Discover(state with { Lease = null, FellBack = false }, now, random, who, first: true);
            return (next, [new DhcpAction.Unconfigure(), .. actions]);
        }

        var asksAll = now >= rebind;
        var limit = asksAll ? end : rebind;
        var renewed = state with
        {
            Phase = asksAll ? DhcpPhase.Rebinding : DhcpPhase.Renewing,
            Transaction = random,
            Started = state.Phase == DhcpPhase.Bound ? now : state.Started,
            Due = Math.Min(limit, now + Math.Max(60_000, (limit - now) / 2)),
        };
        return (renewed, [new DhcpAction.Send(Message(DhcpType.Request, random, Seconds(now - renewed.Started), who, client: lease.Address), asksAll ? null : lease.Server)]);
    }

    private static (DhcpState, IReadOnlyList<DhcpAction>) OnMessage(DhcpState state, DhcpMessage message, long now, uint random, DhcpIdentity who)
    {
        switch (message.Type)
        {
            case DhcpType.Offer when state.Phase == DhcpPhase.Selecting && DhcpLease.From(message) is { } offer:
                return Request(state, offer, now, random, who);

            case DhcpType.Ack when state.Phase is DhcpPhase.Requesting or DhcpPhase.Rebooting or DhcpPhase.Renewing or DhcpPhase.Rebinding && DhcpLease.From(message) is { } lease:
                // An acknowledgement of another server's offer is not ours.
                if (state.Phase == DhcpPhase.Requesting && !lease.Server.Equals(state.Offer!.Server)) return (state, []);
                var bound = new DhcpState(DhcpPhase.Bound, state.Transaction, 0, now, now + (long)lease.Renew.TotalMilliseconds, null, lease, now, false);
                return (bound, [new DhcpAction.Configure(lease)]);

            case DhcpType.Nak when state.Phase is DhcpPhase.Requesting or DhcpPhase.Rebooting or DhcpPhase.Renewing or DhcpPhase.Rebinding:
                var (next, actions) = Discover(state with { Lease = null, Offer = null, FellBack = false }, now, random, who, first: true);
                return (next, state.Phase == DhcpPhase.Requesting ? actions : [new DhcpAction.Unconfigure(), .. actions]);

            default: return (state, []);
        }
    }

    private static bool IsForUs(DhcpState state, DhcpMessage message, DhcpIdentity who) =>
        message.FromServer && message.Transaction == state.Transaction && message.Hardware.Span.SequenceEqual(who.Hardware.Span) && state.Phase != DhcpPhase.Off;

    private static DhcpMessage Message(DhcpType type, uint transaction, ushort seconds, DhcpIdentity who, IPAddress? requested = null, IPAddress? server = null, IPAddress? client = null)
    {
        var options = new Dictionary<byte, byte[]>
        {
            [DhcpOption.MessageType] = [(byte)type],
            [DhcpOption.ClientId] = [1, .. who.Hardware.Span],
        };
        if (requested is not null) options[DhcpOption.RequestedAddress] = requested.GetAddressBytes();
        if (server is not null) options[DhcpOption.ServerId] = server.GetAddressBytes();
        if (type is DhcpType.Discover or DhcpType.Request)
        {
            options[DhcpOption.MaxSize] = [0x05, 0xdc]; // 1500
            options[DhcpOption.HostName] = Encoding.ASCII.GetBytes(who.HostName);
            options[DhcpOption.ParameterList] = Wanted;
        }

        return new DhcpMessage
        {
            FromServer = false,
            Transaction = transaction,
            Seconds = seconds,
            Broadcast = client is null && type != DhcpType.Release,
            ClientAddress = client ?? IPAddress.Any,
            Hardware = who.Hardware,
            Options = options,
        };
    }

    private static DhcpState Wait(DhcpState state, long now, long milliseconds) => state with { Due = now + milliseconds };

    /// <summary>1, 2, 4 ... 64 s, give or take a tenth.</summary>
    private static long Patience(int tries, uint random)
    {
        var milliseconds = 1000L << Math.Min(tries - 1, 6);
        return milliseconds * (900 + (random % 201)) / 1000;
    }

    private static ushort Seconds(long milliseconds) => (ushort)Math.Clamp(milliseconds / 1000, 0, ushort.MaxValue);
}
