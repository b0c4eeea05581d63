namespace OsBuild.Tests.Images.Compression;

/// <summary>How long sweeps are: OSBUILD_FUZZ multiplies them for nightly runs.</summary>
internal static class Sweep
{
    public static int Factor { get; } = int.TryParse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ"), out var factor) ? Math.Max(1, factor) : 1;

    public static bool IsLong => Factor > 1;
}
