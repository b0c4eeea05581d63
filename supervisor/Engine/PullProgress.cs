namespace OsBuild.Supervisor.Engine;

/// <summary>How far the pull of one image is, from what the engine says about its layers. A layer counts half when it is here and whole when it is
/// unpacked; sizes are not used, since the engine tells a layer's size only when it begins with it. Never goes back.</summary>
internal sealed class PullProgress
{
    private readonly Dictionary<string, double> layers = [];

    /// <summary>0 to 100.</summary>
    public int Percent { get; private set; }

    /// <summary>Takes one message of the engine: the layer, its status and, where it has them, bytes done and to do.</summary>
    public void Observe(string? layer, string? status, long? done, long? total)
    {
        if (string.IsNullOrEmpty(layer) || status is null) return;
        var part = done is { } now && total is > 0 ? Math.Clamp(now / (double)total, 0, 1) : 0;
        double? share = status switch
        {
            "Pulling fs layer" or "Waiting" => 0,
            "Downloading" => part / 2,
            "Verifying Checksum" or "Download complete" => 0.5,
            "Extracting" => 0.5 + part / 2,
            "Pull complete" or "Already exists" => 1,
            // "Pulling from library/web" has the tag for its layer.
            _ => null,
        };
        if (share is not { } known) return;
        layers[layer] = Math.Max(known, layers.GetValueOrDefault(layer));
        Percent = Math.Max(Percent, (int)(100 * layers.Values.Average()));
    }
}
