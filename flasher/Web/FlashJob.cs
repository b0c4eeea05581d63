using System.Text.Json;
using OsBuild.Flasher.Choosing;
using OsBuild.Flasher.Commands;
using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Sources;
using OsBuild.Flasher.Writing;
using OsBuild.Images.Configuration;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Web;

/// <summary>One write that the page has started, on a thread of its own.</summary>
internal sealed class FlashJob : IDisposable
{
    private readonly WriteQuestion _asked;
    private readonly BootConfiguration _configuration;
    private readonly IReadOnlyList<Choice> _chosen;
    private readonly CancellationTokenSource _stop;
    private readonly bool[] _stopped;
    private readonly Thread _thread;
    private readonly Lock _lock = new();
    private FlashState _state;
    private string? _message;
    private double? _checked;
    private bool _ended;

    public FlashJob(WriteQuestion asked, BootConfiguration configuration, IReadOnlyList<Choice> chosen, CancellationToken stop)
    {
        (_asked, _configuration, _chosen) = (asked, configuration, chosen);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stop);
        _stopped = new bool[chosen.Count];
        _state = FlashState.For(chosen.Select(c => c.Disk.Device));
        _thread = new Thread(Run) { Name = "write" };
        _thread.Start();
    }

    public bool Ended => Volatile.Read(ref _ended);

    /// <summary>How it stands, as JSON.</summary>
    public string Json
    {
        get
        {
            lock (_lock)
            {
                var shape = new JobShape(Path.GetFileName(_asked.Image), _ended, _message, _checked, [.. _state.Targets.Select((t, i) => TargetShape.Of(t, DriveShape.NameOf(_chosen[i].Disk)))]);
                return JsonSerializer.Serialize(shape, WebJson.Default.JobShape);
            }
        }
    }

    /// <summary>Stops the write to one drive, by its place among the targets, or to all with null.</summary>
    public void Cancel(int? target)
    {
        if (target is null) _stop.Cancel();
        else if (target >= 0 && target < _stopped.Length) Volatile.Write(ref _stopped[target.Value], true);
    }

    /// <summary>Waits until the drives are let go of.</summary>
    public void Wait() => _thread.Join();

    private void Run()
    {
        string? message = null;
        try
        {
            SystemFacts Gather() => Targets.Gather(HttpImage.IsAddress(_asked.Image) ? null : _asked.Image);
            var request = new FlashRequest
            {
                ImagePath = _asked.Image,
                Source = BootSettings.Configured(ImageFile.Open(_asked.Image, useMap: true, _asked.Sha256, new CopyOptions().StallLimit, Checking), _configuration),
                Targets = [.. _chosen.Select(c => c.Disk.Device)],
                Eject = _asked.Eject,
                Options = new CopyOptions { Verify = _asked.Verify, ProbeCapacity = true, StopOne = target => Volatile.Read(ref _stopped[target]) },
            };
            FlashSession.Run(request, [.. _chosen.Select(c => new JudgedTarget(c.Disk.Device, c.Disk, c.Verdict))], Gather, TimeProvider.System, Show, _stop.Token);
        }
        catch (Exception e) when (Ending.Of(e) is not null)
        {
            message = Ending.Of(e)!.Message;
        }

        lock (_lock) (_message, _checked, _ended) = (message, null, true);
    }

    private void Checking(long done, long total)
    {
        _stop.Token.ThrowIfCancellationRequested();
        lock (_lock) _checked = (double)done / Math.Max(1, total);
    }

    private void Show(CopyEvent happened)
    {
        lock (_lock) (_checked, _state) = (null, _state.Apply(happened, TimeProvider.System.GetUtcNow()));
    }

    public void Dispose() => _stop.Dispose();
}
