using System.Text.Json;
using OsBuild.Images;

namespace OsBuild.Flasher.Commands;

/// <summary>Shows how far the check of an image is, on a terminal or as JSON lines; a log hears of it once.</summary>
internal sealed class CheckView(string image, TextWriter to, bool json, bool terminal, TimeProvider time, CancellationToken stop) : IDisposable
{
    private readonly long _begun = time.GetTimestamp();
    private long _shown;
    private bool _any;

    /// <summary>A view of the kind that fits what was typed and where it is read.</summary>
    public static CheckView For(string image, bool json, CancellationToken stop) =>
        new(image, json ? Console.Out : Console.Error, json, !json && !Console.IsErrorRedirected, TimeProvider.System, stop);

    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void Show(long done, long total)
    {
        stop.ThrowIfCancellationRequested();
        // A short check is over before anybody could read of it.
        var every = json ? 500 : 100;
        if (time.GetElapsedTime(_any ? _shown : _begun).TotalMilliseconds < every || (_any && !json && !terminal)) return;
        _shown = time.GetTimestamp();
        _any = true;
        var speed = (long)(done / time.GetElapsedTime(_begun).TotalSeconds);
        if (json) to.WriteLine(JsonSerializer.Serialize(new ProgressLine(null, "check", done, total, speed), OutputJson.Default.ProgressLine));
        else if (terminal) to.Write($"\r\e[Kchecking {image}  {(double)done / Math.Max(1, total):0%}  {new ByteSize(speed)}/s");
        else to.WriteLine($"checking {image}");
    }

    /// <summary>Clears the line for what comes next.</summary>
    public void Dispose()
    {
        if (_any && terminal) to.Write("\r\e[K");
    }
}
