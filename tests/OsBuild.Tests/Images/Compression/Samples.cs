namespace OsBuild.Tests.Images.Compression;

/// <summary>One small content, packed in many ways by the real tools (gzip 1.12, bzip2 1.0.8, xz 5.4.1, zstd 1.5.4, Python's zipfile):
/// packed.txt holds a name and the bytes in base64 on each line.</summary>
internal static class Samples
{
    private static readonly Dictionary<string, byte[]> All = ReadAll();

    public static byte[] Content { get; } = MakeContent();

    /// <summary>The content 230 times over, each time with a number before it: longer than windows and blocks.</summary>
    public static byte[] LongContent { get; } = [.. Enumerable.Range(0, 230).SelectMany(i => (byte[])[(byte)i, .. Content])];

    public static Dictionary<string, byte[]> Packed { get; } = All.Where(e => !IsRefused(e.Key) && !IsLong(e.Key)).ToDictionary();

    public static Dictionary<string, byte[]> LongPacked { get; } = All.Where(e => IsLong(e.Key)).ToDictionary();

    public static byte[] ZipOfSeveral => All["refused several"];

    public static byte[] ZipOfNothing => All["refused nothing"];

    public static byte[] ZipOfLzma => All["refused LZMA"];

    private static bool IsRefused(string name) => name.StartsWith("refused");

    private static bool IsLong(string name) => name.Contains("long") || name.Contains("dictionary");

    private static Dictionary<string, byte[]> ReadAll()
    {
        using var text = new StreamReader(typeof(Samples).Assembly.GetManifestResourceStream("packed.txt")!);
        return text.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('\t'))
            .ToDictionary(parts => parts[0], parts => Convert.FromBase64String(parts[1]));
    }

    private static byte[] MakeContent()
    {
        var content = new List<byte>();
        var x = 12345u;
        for (var i = 0; i < 120; i++)
        {
            content.AddRange(System.Text.Encoding.ASCII.GetBytes($"line {i * i % 97} of the image\n"));
            x = Next(x);
            for (var k = 0; i % 4 == 0 && k < 6; k++)
            {
                x = Next(x);
                content.Add((byte)(x >> 16));
            }
        }

        content.AddRange(new byte[600]);
        return [.. content];
    }

    private static uint Next(uint x) => (x * 1103515245 + 12345) & 0x7FFFFFFF;
}
