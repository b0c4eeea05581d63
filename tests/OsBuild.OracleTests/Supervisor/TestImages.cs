using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>Images made here without any network: busybox and a few files, as a docker-save archive.</summary>
internal static class TestImages
{
    private static readonly string[] Applets = ["sh", "httpd", "sleep", "cat", "echo", "test", "touch", "wget", "kill", "rm", "mkdir", "true", "false", "ls", "env", "nc", "dd", "date", "hostname", "tail", "ip", "id", "stat"];

    /// <param name="reference">Its name, or null for an image without one.</param>
    /// <param name="files">Further files by path.</param>
    /// <param name="command">What runs; a web server on 8080 over /www when null.</param>
    /// <param name="architecture">As in the image's configuration.</param>
    /// <param name="extra">Further members of the configuration, as JSON (<c>"Healthcheck":{...}</c>).</param>
    public static byte[] Archive(string reference, Dictionary<string, string>? files = null, string[]? command = null, string architecture = "amd64", string extra = "")
    {
        var (layer, config) = Parts(reference, files, command, architecture, extra);
        return Saved(reference, layer, config);
    }

    /// <summary>An image with one file and nothing to run.</summary>
    public static byte[] OfFile(string reference, string path, byte[] content)
    {
        var layer = new MemoryStream();
        using (var tar = new TarWriter(layer, TarEntryFormat.Ustar, leaveOpen: true)) Add(tar, path, content, 0x1ED);
        return Saved(reference, layer.ToArray(), Encoding.UTF8.GetBytes($$"""{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:{{Hex(layer.ToArray())}}"]},"history":[{"created":"2026-01-01T00:00:00Z"}]}"""));
    }

    private static byte[] Saved(string reference, byte[] layer, byte[] config)
    {
        var digest = Hex(layer);
        var manifest = Encoding.UTF8.GetBytes($$"""[{"Config":"{{Hex(config)}}.json","RepoTags":["{{reference}}"],"Layers":["{{digest}}/layer.tar"]}]""");
        var archive = new MemoryStream();
        using (var tar = new TarWriter(archive, TarEntryFormat.Ustar, leaveOpen: true))
        {
            Add(tar, $"{digest}/layer.tar", layer);
            Add(tar, $"{Hex(config)}.json", config);
            Add(tar, "manifest.json", manifest);
        }

        return archive.ToArray();
    }

    /// <summary>The one layer and the configuration.</summary>
    public static (byte[] Layer, byte[] Config) Parts(string reference, Dictionary<string, string>? files = null, string[]? command = null, string architecture = "amd64", string extra = "")
    {
        var layer = Layer(files ?? new() { ["www/index.html"] = reference + "\n" });
        var digest = Hex(layer);
        var cmd = string.Join(',', (command ?? ["/bin/httpd", "-f", "-p", "8080", "-h", "/www"]).Select(c => $"\"{c}\""));
        var config = Encoding.UTF8.GetBytes($$"""{"architecture":"{{architecture}}","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":[{{cmd}}]{{(extra.Length > 0 ? "," + extra : "")}}},"rootfs":{"type":"layers","diff_ids":["sha256:{{digest}}"]},"history":[{"created":"2026-01-01T00:00:00Z"}]}""");
        return (layer, config);
    }

    private static byte[] Layer(Dictionary<string, string> files)
    {
        var layer = new MemoryStream();
        using (var tar = new TarWriter(layer, TarEntryFormat.Ustar, leaveOpen: true))
        {
            foreach (var directory in (string[])["bin", "tmp", "etc", "www", "data"]) tar.WriteEntry(new UstarTarEntry(TarEntryType.Directory, directory + "/") { Mode = (UnixFileMode)0x1ED, ModificationTime = DateTimeOffset.UnixEpoch });
            Add(tar, "bin/busybox", File.ReadAllBytes("/bin/busybox"), 0x1ED);
            foreach (var applet in Applets) tar.WriteEntry(new UstarTarEntry(TarEntryType.SymbolicLink, "bin/" + applet) { LinkName = "busybox", ModificationTime = DateTimeOffset.UnixEpoch });
            Add(tar, "etc/passwd", "root:x:0:0::/:/bin/sh\n"u8.ToArray());
            foreach (var (path, text) in files) Add(tar, path, Encoding.UTF8.GetBytes(text), 0x1ED);
        }

        return layer.ToArray();
    }

    private static void Add(TarWriter tar, string name, byte[] content, int mode = 0x1A4) =>
        tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content), Mode = (UnixFileMode)mode, ModificationTime = DateTimeOffset.UnixEpoch });

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
