namespace OsBuild.Tests.Images;

/// <summary>How hard to try: the environment variable OSBUILD_FUZZ multiplies the turns of random tests (1 by default).</summary>
internal static class Fuzz
{
    public static int Times { get; } = int.TryParse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ"), out var n) && n > 0 ? n : 1;
}
