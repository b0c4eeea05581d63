using System.Text.Json;
using OsBuild.Flasher.Choosing;
using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Sources;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Web;

/// <summary>Looks at the drives once a second while somebody watches, and keeps what was seen last.</summary>
internal sealed class DriveWatch(CancellationToken stop)
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);
    private volatile IReadOnlyList<Choice> _drives = [];
    private volatile string _json = "[]";
    private volatile string? _image;
    private int _watchers;

    /// <summary>The drives as last seen.</summary>
    public IReadOnlyList<Choice> Drives => _drives;

    /// <summary>The same as JSON.</summary>
    public string Json => _json;

    /// <summary>The chosen image: the drive it lies on is not to be written.</summary>
    public string? Image
    {
        get => _image;
        set
        {
            _image = value;
            Look();
        }
    }

    public void Watch() => Interlocked.Increment(ref _watchers);

    public void Leave() => Interlocked.Decrement(ref _watchers);

    public void Start() => new Thread(() =>
    {
        for (; !stop.IsCancellationRequested; Thread.Sleep(Between))
            if (Volatile.Read(ref _watchers) > 0) Look();
    }) { IsBackground = true, Name = "drives" }.Start();

    public void Look()
    {
        var facts = Targets.Gather(_image is { } image && !HttpImage.IsAddress(image) ? image : null);
        _drives = [.. facts.Disks.Where(d => d.Size > 0).Select(d => new Choice(d, Judge.Verdict(d, facts), null)).OrderBy(c => c.Refusal is not null)];
        _json = JsonSerializer.Serialize([.. _drives.Select(DriveShape.Of)], WebJson.Default.IReadOnlyListDriveShape);
    }
}
