namespace OsBuild.Supervisor.Engine;

/// <summary>The labels by which things in the engine are known to be ours. What has none of them is foreign and is left alone.</summary>
internal static class EngineLabels
{
    public const string App = "io.osbuild.app";
    public const string Service = "io.osbuild.service";
    public const string Hash = "io.osbuild.hash";

    /// <summary>The canonical specification, so that a container explains itself when our own state is lost.</summary>
    public const string Spec = "io.osbuild.spec";
    public const string DependsOn = "io.osbuild.depends-on";

    /// <summary>Engine names of its networks, in the order of the specification.</summary>
    public const string Networks = "io.osbuild.networks";

    /// <summary>Ids of the containers whose name spaces it is in.</summary>
    public const string Shares = "io.osbuild.shares";
    public const string Commit = "io.osbuild.commit";

    public static string? SpecOf(IDictionary<string, string>? labels) => labels is not null && labels.TryGetValue(Spec, out var spec) ? spec : null;
}
