using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Identity;

/// <summary>Who this device is: made once, kept on the state partition, the same through updates of the slots and of the data partition.</summary>
/// <param name="MachineId">32 hex digits, as machine-id(5) says.</param>
/// <param name="HostName">From config.yaml, or osbuild- and six digits of the machine id.</param>
internal sealed record DeviceIdentity(string MachineId, string HostName)
{
    /// <summary>Reads the identity of a device, or makes it at the first boot. A damaged id file is made anew.</summary>
    public static DeviceIdentity LoadOrMake(string state, string? configuredName)
    {
        var path = Path.Combine(state, "machine-id");
        var id = File.Exists(path) ? File.ReadAllText(path).Trim() : "";
        if (!IsMachineId(id))
        {
            id = NewMachineId(KernelRandom.Bytes(16));
            DurableFile.Write(path, id + "\n");
        }

        return For(id, configuredName);
    }

    /// <summary>An identity that lasts until power-off, for a device whose state partition is gone.</summary>
    public static DeviceIdentity Volatile(string? configuredName) => For(NewMachineId(KernelRandom.Bytes(16)), configuredName);

    public static DeviceIdentity For(string machineId, string? configuredName) =>
        new(machineId, IsHostName(configuredName) ? configuredName! : $"osbuild-{machineId[..6]}");

    public static bool IsMachineId(string text) => text.Length == 32 && text.All(char.IsAsciiHexDigitLower) && text.Any(c => c != '0');

    /// <summary>RFC 1123: letters, digits and hyphens, no hyphen at an end of a label, at most 63 each and 64 in all (the kernel's limit).</summary>
    public static bool IsHostName(string? text) =>
        text is { Length: > 0 and <= 64 } && text.Split('.').All(label =>
            label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'));

    /// <summary>Random bytes as a version 4 UUID without hyphens, as systemd makes them.</summary>
    public static string NewMachineId(ReadOnlySpan<byte> random)
    {
        Span<byte> id = stackalloc byte[16];
        random[..16].CopyTo(id);
        id[6] = (byte)((id[6] & 0x0f) | 0x40);
        id[8] = (byte)((id[8] & 0x3f) | 0x80);
        return Convert.ToHexStringLower(id);
    }

    /// <summary>Sets the host name and writes the files in /etc (an overlay by now).</summary>
    public void Apply(string etc, Action<string> log)
    {
        Attempt(() => Libc.SetHostName(HostName));
        Attempt(() => File.WriteAllText(Path.Combine(etc, "hostname"), HostName + "\n"));
        Attempt(() => Replace(Path.Combine(etc, "machine-id"), MachineId + "\n"));
        Attempt(() => Replace(Path.Combine(etc, "hosts"), Hosts(HostName)));
        Attempt(() => Link(Path.Combine(etc, "resolv.conf"), "/run/resolv.conf"));

        void Attempt(Action action)
        {
            try
            {
                action();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                log($"identity: {e.Message}");
            }
        }
    }

    public static string Hosts(string hostName) =>
        $"127.0.0.1\tlocalhost\n127.0.1.1\t{hostName}\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

    private static void Link(string path, string to)
    {
        if (!File.Exists(to)) File.WriteAllText(to, "");
        if (new FileInfo(path).LinkTarget == to) return;
        File.Delete(path);
        File.CreateSymbolicLink(path, to);
    }

    /// <summary>A rootfs may ship the file as a link into a place that is not there.</summary>
    private static void Replace(string path, string text)
    {
        File.Delete(path);
        File.WriteAllText(path, text);
    }
}

/// <summary>Files that are either old or new after a power cut, never half.</summary>
internal static class DurableFile
{
    public static void Write(string path, string text) => Write(path, System.Text.Encoding.UTF8.GetBytes(text));

    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        var temporary = path + ".new";
        using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
        // The rename itself is durable when the directory is.
        using var directory = Libc.OpenDirectory(Path.GetDirectoryName(path)!);
        Libc.SyncFile(directory, path);
    }
}
