namespace OsBuild.Supervisor.Planning;

/// <summary>Tells from the engine's own words that its copy of an image or container is broken, as after a power cut in the middle of a pull.
/// Nothing can be done with such a copy but to remove it and have it again.</summary>
internal static class StoreDamage
{
    /// <summary>Messages of dockerd 20.10 to 28 (graph drivers and containerd's snapshots) and of podman. What a wrong compose file can cause,
    /// such as a missing mount source, says none of them.</summary>
    private static readonly string[] Words =
    [
        "layer does not exist", "layer not known", "error creating overlay mount", "error mounting overlay", "rw layer snapshot not found", "failed to mount overlay",
        "unable to get image layer", "failed to get layer", "error getting layer", "failed to register layer", "missing layer", "layerdb", "imagedb", "/overlay2/",
        "no such snapshot", "snapshot does not exist", "failed to find manifest", "content digest sha256", "stat /var/lib/docker/image", "invalid checksum digest",
        "cannot mount overlay", "unexpected EOF reading layer", "error reading image", "layers from manifest don't match image configuration",
    ];

    /// <summary>How often one image is removed for damage before its errors are taken for what they say.</summary>
    public const int MostRepairs = 3;

    /// <summary>So long after the last repair one more is tried: a store on a failing medium breaks again, an error that only looks like damage costs one download.</summary>
    public static readonly TimeSpan NextRepair = TimeSpan.FromDays(1);

    public static bool Is(string reason) => Array.Exists(Words, w => reason.Contains(w, StringComparison.OrdinalIgnoreCase));
}
