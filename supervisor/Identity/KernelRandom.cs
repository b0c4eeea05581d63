namespace OsBuild.Supervisor.Identity;

/// <summary>Random bytes straight from the kernel. The framework's own come from OpenSSL, which would be a megabyte in PID 1 for the rest of its life.</summary>
internal static class KernelRandom
{
    /// <param name="count">How many.</param>
    public static byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        using var source = new FileStream("/dev/urandom", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        source.ReadExactly(bytes);
        return bytes;
    }
}
