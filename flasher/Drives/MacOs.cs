using System.Diagnostics;

namespace OsBuild.Flasher.Drives;

/// <summary>Asks diskutil, which every Mac has, for all disks, slices and volumes. Compiled and tested on recorded answers; not run on a Mac.</summary>
internal static class MacOs
{
    public static SystemFacts Gather(string? image)
    {
        var complete = true;
        List<string> infos = [];
        if (PropertyList.Parse(Ask(ref complete, "list", "-plist")) is Dictionary<string, object> list && list.GetValueOrDefault("AllDisks") is List<object> disks)
            foreach (var disk in disks.OfType<string>())
                if (Ask(ref complete, "info", "-plist", disk) is { Length: > 0 } info) infos.Add(info);
        return MacFacts.From(infos, image is null ? null : Path.GetFullPath(image), Environment.ProcessPath, complete);
    }

    /// <summary>Unmounts every volume of a disk; macOS mounts them again when the disk is read anew.</summary>
    public static bool Unmount(string disk)
    {
        var complete = true;
        Ask(ref complete, "unmountDisk", disk);
        return complete;
    }

    private static string Ask(ref bool complete, params string[] arguments)
    {
        using var diskutil = Process.Start(new ProcessStartInfo("/usr/sbin/diskutil", arguments) { RedirectStandardOutput = true }) ?? throw new IOException("diskutil cannot be started.");
        var said = diskutil.StandardOutput.ReadToEnd();
        diskutil.WaitForExit();
        complete &= diskutil.ExitCode == 0;
        return said.Length > 0 ? said : "<plist><dict/></plist>";
    }
}
