using System.Text;

namespace OsBuild.Flasher.Drives;

/// <summary>Files of proc and sysfs: their length is a lie, so they are read until they end.</summary>
internal static class KernelFile
{
    /// <summary>The bytes of a file, or null when there is none or it must not be read.</summary>
    public static byte[]? Bytes(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            using var content = new MemoryStream();
            var buffer = new byte[4096];
            for (int got; (got = file.Read(buffer)) > 0;) content.Write(buffer, 0, got);
            return content.ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public static string? Text(string path) => Bytes(path) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;
}
