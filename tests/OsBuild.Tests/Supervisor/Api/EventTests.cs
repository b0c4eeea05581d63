using System.Text;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.Api;

public sealed class EventTests
{
    private static ContainerState Web(string id, ContainerStatus status, Health health = Health.None, int code = 0) => new() { Id = id, App = "shop", Service = "web", Hash = "h", ImageId = "i", Name = "shop-web", Status = status, Health = health, ExitCode = code };

    private static CurrentState With(params ContainerState[] containers) => new() { Containers = [.. containers] };

    private static string Said(CurrentState? before, CurrentState after) => string.Join("; ", Changes.Between(before, after, "now").Select(e => e.What));

    [Fact]
    public void Tells_what_changed_and_nothing_else()
    {
        var created = With(Web("1", ContainerStatus.Created));
        var starting = With(Web("1", ContainerStatus.Running, Health.Starting));
        var good = With(Web("1", ContainerStatus.Running, Health.Healthy));
        Assert.Equal("shop-web is created", Said(null, created));
        Assert.Equal("shop-web is running and not yet healthy", Said(created, starting));
        Assert.Equal("shop-web is running and healthy", Said(starting, good));
        Assert.Equal("", Said(good, With(Web("1", ContainerStatus.Running, Health.Healthy) with { RunningFor = TimeSpan.FromDays(1) })));
        Assert.Equal("shop-web is exited with code 137, out of memory", Said(good, With(Web("1", ContainerStatus.Exited, code: 137) with { OutOfMemory = true })));
        Assert.Equal("shop-web is running; shop-web is gone", Said(good, With(Web("2", ContainerStatus.Running))));
    }

    [Fact]
    public async Task Everybody_who_listens_hears_it_and_who_leaves_is_forgotten()
    {
        var hub = new EventHub();
        using var leave = new CancellationTokenSource();
        var (first, second) = (new Pipe(), new Pipe());
        var listening = (Task[])[hub.StreamAsync(first, leave.Token), hub.StreamAsync(second, leave.Token)];
        hub.Observe(new HistoryEntry(DateTimeOffset.UnixEpoch, "start web", "it was made", "done", "shop/web"));
        foreach (var pipe in (Pipe[])[first, second])
        {
            var text = await pipe.UntilAsync("start web");
            Assert.Contains("event: step\ndata: {\"at\":\"1970-01-01T00:00:00.0000000Z\",\"kind\":\"step\",\"service\":\"shop/web\",\"what\":\"start web\",\"cause\":\"it was made\",\"outcome\":\"done\"}\n\n", text, StringComparison.Ordinal);
        }

        await leave.CancelAsync();
        foreach (var task in listening) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task);
        hub.Publish(new("", "step", "", "nobody hears it"));
        Assert.DoesNotContain("nobody", first.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_listener_who_takes_nothing_holds_nobody_up_and_loses_the_oldest()
    {
        var hub = new EventHub();
        using var leave = new CancellationTokenSource();
        var slow = new Pipe { Closed = true };
        var listening = hub.StreamAsync(slow, leave.Token);
        for (var i = 0; i < 10_000; i++) hub.Publish(new("", "step", "", $"number {i}."));
        slow.Open();
        var text = await slow.UntilAsync("number 9999.");
        Assert.DoesNotContain("number 100.", text, StringComparison.Ordinal);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => listening);
    }

    /// <summary>Somebody who reads a stream, or does not.</summary>
    private sealed class Pipe : MemoryStream
    {
        private readonly TaskCompletionSource opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly StringBuilder text = new();

        public bool Closed { get; init; }

        public string Text
        {
            get
            {
                lock (text) return text.ToString();
            }
        }

        public void Open() => opened.SetResult();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Closed) await opened.Task.WaitAsync(cancellationToken);
            lock (text) text.Append(Encoding.UTF8.GetString(buffer.Span));
        }

        public async Task<string> UntilAsync(string part)
        {
            while (!Text.Contains(part, StringComparison.Ordinal)) await Task.Delay(5, TestContext.Current.CancellationToken);
            return Text;
        }
    }
}
