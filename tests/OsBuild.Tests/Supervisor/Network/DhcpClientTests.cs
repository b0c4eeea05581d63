using System.Net;
using OsBuild.Supervisor.Network;

namespace OsBuild.Tests.Supervisor.Network;

/// <summary>Walks the state machine with a clock of its own.</summary>
internal sealed class DhcpWalk
{
    public DhcpState State = DhcpState.Off;
    public long Now = 1_000_000;
    private uint _random = 100;

    public IReadOnlyList<DhcpAction> On(DhcpEvent happened)
    {
        (State, var actions) = DhcpClient.Next(State, happened, Now, _random++, Given.Who);
        return actions;
    }

    public IReadOnlyList<DhcpAction> Tick()
    {
        Now = Math.Max(Now, State.Due);
        return On(new DhcpEvent.Tick());
    }

    public IReadOnlyList<DhcpAction> Receive(DhcpType type, string address = "10.0.0.20", string server = "10.0.0.1", IReadOnlyDictionary<byte, byte[]>? more = null) =>
        On(new DhcpEvent.Received(Given.From(type, State.Transaction, more, address, server)));

    public DhcpWalk Bound()
    {
        On(new DhcpEvent.LinkUp());
        Receive(DhcpType.Offer);
        Receive(DhcpType.Ack);
        Assert.Equal(DhcpPhase.Bound, State.Phase);
        return this;
    }

    public static string Text(IReadOnlyList<DhcpAction> actions) => string.Join("; ", actions);
}

public sealed class DhcpClientTests
{
    [Fact]
    public void Gets_an_address_in_four_messages()
    {
        var walk = new DhcpWalk();
        Assert.Equal("Discover to all", DhcpWalk.Text(walk.On(new DhcpEvent.LinkUp())));
        Assert.Equal("Request to all", DhcpWalk.Text(walk.Receive(DhcpType.Offer)));
        Assert.Equal("configure 10.0.0.20/24", DhcpWalk.Text(walk.Receive(DhcpType.Ack)));
        Assert.Equal(1_800_000, walk.State.Due - walk.Now);
    }

    [Fact]
    public void A_request_names_the_offer_and_the_host()
    {
        var walk = new DhcpWalk();
        walk.On(new DhcpEvent.LinkUp());
        var request = Assert.IsType<DhcpAction.Send>(walk.Receive(DhcpType.Offer).Single()).Message;
        Assert.Equal("10.0.0.20", request.Address(DhcpOption.RequestedAddress)!.ToString());
        Assert.Equal("10.0.0.1", request.Address(DhcpOption.ServerId)!.ToString());
        Assert.Equal("osbuild-abc123", request.Text(DhcpOption.HostName));
        Assert.True(request.Broadcast && request.ClientAddress.Equals(IPAddress.Any));
        Assert.Contains(DhcpOption.ClasslessRoutes, request.Options[DhcpOption.ParameterList]);
    }

    [Fact]
    public void Without_a_server_it_falls_back_once_and_asks_on_for_ever()
    {
        var walk = new DhcpWalk();
        walk.On(new DhcpEvent.LinkUp());
        var start = walk.Now;
        string[] acts = [.. Enumerable.Range(0, 12).Select(_ => DhcpWalk.Text(walk.Tick()))];
        Assert.Equal(["Discover to all", "Discover to all", "fall back to a link-local address; Discover to all"], acts[..3]);
        Assert.All(acts[3..], a => Assert.Equal("Discover to all", a));
        Assert.InRange(walk.State.Due - walk.Now, 57_600, 70_500); // about every 64 s in the end
        Assert.True(walk.Now - start > 300_000);
    }

    [Fact]
    public void A_server_that_comes_late_is_still_taken()
    {
        var walk = new DhcpWalk();
        walk.On(new DhcpEvent.LinkUp());
        for (var i = 0; i < 10; i++) walk.Tick();
        walk.Receive(DhcpType.Offer);
        Assert.Equal("configure 10.0.0.20/24", DhcpWalk.Text(walk.Receive(DhcpType.Ack)));
    }

    [Fact]
    public void A_server_that_offers_and_then_is_silent_is_left_after_some_tries()
    {
        var walk = new DhcpWalk();
        walk.On(new DhcpEvent.LinkUp());
        walk.Receive(DhcpType.Offer);
        string[] acts = [.. Enumerable.Range(0, 4).Select(_ => DhcpWalk.Text(walk.Tick()))];
        Assert.Equal(["Request to all", "Request to all", "Request to all", "Discover to all"], acts);
    }

    [Fact]
    public void Only_the_server_that_was_asked_may_answer()
    {
        var walk = new DhcpWalk();
        walk.On(new DhcpEvent.LinkUp());
        walk.Receive(DhcpType.Offer);
        Assert.Empty(walk.Receive(DhcpType.Ack, server: "10.0.0.66"));
        Assert.Equal(DhcpPhase.Requesting, walk.State.Phase);
    }

    [Fact]
    public void Renews_with_its_server_at_T1_and_stays_bound()
    {
        var walk = new DhcpWalk().Bound();
        var send = Assert.IsType<DhcpAction.Send>(walk.Tick().Single());
        Assert.Equal(("Request to 10.0.0.1", "10.0.0.20"), (send.ToString(), send.Message.ClientAddress.ToString()));
        Assert.Null(send.Message.Address(DhcpOption.ServerId)); // must not be there when renewing
        Assert.False(send.Message.Broadcast);
        Assert.Equal("configure 10.0.0.20/24", DhcpWalk.Text(walk.Receive(DhcpType.Ack)));
        Assert.Equal(1_800_000, walk.State.Due - walk.Now);
    }

    [Fact]
    public void Asks_all_servers_at_T2_and_gives_the_address_up_at_the_end()
    {
        var walk = new DhcpWalk().Bound();
        var bound = walk.Now;
        var acts = new List<(long Second, string Act)>();
        for (var i = 0; i < 40 && acts.LastOrDefault().Act?.StartsWith("unconfigure", StringComparison.Ordinal) != true; i++)
        {
            var text = DhcpWalk.Text(walk.Tick());
            acts.Add(((walk.Now - bound) / 1000, text));
        }

        Assert.Equal((1800, "Request to 10.0.0.1"), acts[0]);
        Assert.All(acts.Where(a => a.Second is >= 1800 and < 3150), a => Assert.Equal("Request to 10.0.0.1", a.Act));
        Assert.All(acts.Where(a => a.Second is >= 3150 and < 3600), a => Assert.Equal("Request to all", a.Act));
        Assert.Equal((3600, "unconfigure; Discover to all"), acts[^1]);
        Assert.True(acts.Count < 20, "a lost server is not hammered");
    }

    [Fact]
    public void A_refused_renewal_gives_the_address_up_and_starts_over()
    {
        var walk = new DhcpWalk().Bound();
        walk.Tick();
        Assert.Equal("unconfigure; Discover to all", DhcpWalk.Text(walk.Receive(DhcpType.Nak)));
        Assert.Null(walk.State.Lease);
    }

    [Fact]
    public void A_refused_request_starts_over()
    {
        var walk = new DhcpWalk();
        walk.On(new DhcpEvent.LinkUp());
        walk.Receive(DhcpType.Offer);
        Assert.Equal("Discover to all", DhcpWalk.Text(walk.Receive(DhcpType.Nak)));
    }

    [Fact]
    public void A_pulled_cable_takes_the_address_away_and_plugged_in_again_asks_for_the_same_one()
    {
        var walk = new DhcpWalk().Bound();
        Assert.Equal("unconfigure", DhcpWalk.Text(walk.On(new DhcpEvent.LinkDown())));
        Assert.Empty(walk.On(new DhcpEvent.Tick()));
        var send = Assert.IsType<DhcpAction.Send>(walk.On(new DhcpEvent.LinkUp()).Single()).Message;
        Assert.Equal("10.0.0.20", send.Address(DhcpOption.RequestedAddress)!.ToString());
        Assert.Null(send.Address(DhcpOption.ServerId));
        Assert.Equal("configure 10.0.0.20/24", DhcpWalk.Text(walk.Receive(DhcpType.Ack)));
    }

    [Fact]
    public void In_another_network_the_old_address_is_refused_or_forgotten()
    {
        var refused = new DhcpWalk().Bound();
        refused.On(new DhcpEvent.LinkDown());
        refused.On(new DhcpEvent.LinkUp());
        Assert.Equal("unconfigure; Discover to all", DhcpWalk.Text(refused.Receive(DhcpType.Nak)));

        var silent = new DhcpWalk().Bound();
        silent.On(new DhcpEvent.LinkDown());
        silent.On(new DhcpEvent.LinkUp());
        string[] acts = [.. Enumerable.Range(0, 3).Select(_ => DhcpWalk.Text(silent.Tick()))];
        Assert.Equal(["Request to all", "Request to all", "Discover to all"], acts);
    }

    [Fact]
    public void An_address_another_machine_has_is_declined_and_asked_again_after_a_while()
    {
        var walk = new DhcpWalk().Bound();
        Assert.Equal("Decline to all; unconfigure", DhcpWalk.Text(walk.On(new DhcpEvent.Conflict())));
        Assert.True(walk.State.Due - walk.Now >= 10_000);
        Assert.Equal("Discover to all", DhcpWalk.Text(walk.Tick()));
    }

    [Fact]
    public void At_the_end_the_address_is_given_back()
    {
        var walk = new DhcpWalk().Bound();
        var send = Assert.IsType<DhcpAction.Send>(walk.On(new DhcpEvent.Stop()).Single());
        Assert.Equal("Release to 10.0.0.1", send.ToString());
        Assert.Empty(new DhcpWalk().On(new DhcpEvent.Stop()));
    }

    [Fact]
    public void Messages_for_others_are_not_heard()
    {
        var walk = new DhcpWalk();
        walk.On(new DhcpEvent.LinkUp());
        Assert.Empty(walk.On(new DhcpEvent.Received(Given.From(DhcpType.Offer, walk.State.Transaction + 1))));
        Assert.Empty(walk.On(new DhcpEvent.Received(Given.From(DhcpType.Offer, walk.State.Transaction) with { Hardware = new byte[6] })));
        Assert.Empty(walk.On(new DhcpEvent.Received(Given.From(DhcpType.Offer, walk.State.Transaction) with { FromServer = false })));
        Assert.Empty(walk.Receive(DhcpType.Ack)); // nothing was requested yet
        Assert.Empty(walk.Receive(DhcpType.Offer, address: "0.0.0.0"));
        Assert.Equal(DhcpPhase.Selecting, walk.State.Phase);
    }

    /// <summary>Whatever comes in whatever order: a configured address has a lease, and there is always a next time to act while the link is up.</summary>
    [Fact]
    public void No_order_of_events_leaves_it_stuck()
    {
        var random = new Random(7);
        for (var round = 0; round < 300; round++)
        {
            var walk = new DhcpWalk();
            var configured = false;
            for (var i = 0; i < 60; i++)
            {
                var actions = random.Next(8) switch
                {
                    0 => walk.On(new DhcpEvent.LinkUp()),
                    1 when i > 20 => walk.On(new DhcpEvent.LinkDown()),
                    2 => walk.Receive(DhcpType.Offer),
                    3 => walk.Receive(DhcpType.Ack),
                    4 when random.Next(4) == 0 => walk.Receive(DhcpType.Nak),
                    5 when random.Next(8) == 0 => walk.On(new DhcpEvent.Conflict()),
                    _ => walk.State.Phase == DhcpPhase.Off ? [] : walk.Tick(),
                };
                foreach (var action in actions)
                {
                    if (action is DhcpAction.Configure) configured = true;
                    if (action is DhcpAction.Unconfigure) configured = false;
                }

                if (walk.State.Phase is DhcpPhase.Bound or DhcpPhase.Renewing or DhcpPhase.Rebinding) Assert.True(configured && walk.State.Lease is not null);
                if (walk.State.Phase != DhcpPhase.Off) Assert.InRange(walk.State.Due - walk.Now, 1, 3_600_000);
            }
        }
    }
}
