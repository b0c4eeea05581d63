using System.Runtime.InteropServices;
using OsBuild.Flasher.Drives;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Writing;

/// <summary>The one place that picks the code of the operating system.</summary>
internal static class Targets
{
    /// <summary>The facts of this machine.</summary>
    public static SystemFacts Gather(string? image) => OperatingSystem.IsLinux() ? Linux.Gather(image)
        : OperatingSystem.IsWindows() ? WindowsOs.Gather(image)
        : OperatingSystem.IsMacOS() ? MacOs.Gather(image)
        : throw new RefusedException("The flasher knows the disks of Linux, Windows and macOS only.");

    /// <summary>Whether this program may write to disks.</summary>
    public static bool IsPrivileged => OperatingSystem.IsWindows() ? WindowsOs.IsAdministrator : Libc.EffectiveUser() == 0;

    /// <summary>The disk that a person names, by path, link (<c>/dev/disk/by-id/...</c>) or short name; null when it is none.</summary>
    /// <exception cref="RefusedException">It is a part of a disk.</exception>
    public static Disk? Resolve(string target, SystemFacts facts)
    {
        var number = OperatingSystem.IsLinux() ? Libc.DeviceNumberOf(target) : null;
        var disk = facts.Disks.FirstOrDefault(d => number is not null ? d.Number == number : d.Device == target || (d.Node == target && !Path.Exists(target)));
        if (disk is not null) return disk;
        if (number is null) return null;
        var name = Path.GetFileName(File.ResolveLinkTarget(target, returnFinalTarget: true)?.FullName ?? target);
        var parent = facts.Nodes.FirstOrDefault(n => n.Name == name && n.Kind == NodeKind.Partition)?.On is [var on, ..] ? on : null;
        throw new RefusedException(parent is not null
            ? $"{target} is a partition; an image goes onto a whole disk. Did you mean /dev/{parent}? Nothing was written."
            : $"{target} is not a disk that images can be written to; flasher list shows those. Nothing was written.");
    }

    public static bool IsOrdinaryFile(string path) => OperatingSystem.IsLinux() ? Libc.IsRegularFile(path)
        : File.Exists(path) && (File.GetAttributes(path) & (FileAttributes.Device | FileAttributes.Directory)) == 0;

    /// <summary>What tells two files apart: device and inode, or the full path.</summary>
    public static string FileIdentity(string path) =>
        OperatingSystem.IsLinux() && Libc.FileIdentity(path) is { } id ? $"{id.Device}:{id.Inode}" : Path.GetFullPath(path);

    /// <summary>Unmounts what must be and holds the target for this program alone.</summary>
    public static IMedium Open(JudgedTarget target, long sizeWhenEmpty, SystemFacts facts)
    {
        if (target.Disk is null) return new FileTarget(target.Name, sizeWhenEmpty);
        if (OperatingSystem.IsWindows()) return WindowsDisk.Open(target.Disk, VolumesOf(target.Disk, facts), write: true);
        if (OperatingSystem.IsMacOS()) return MacDisk.Open(target.Disk, write: true);
        foreach (var at in target.Verdict!.Unmount.OrderByDescending(m => m.Length))
            if (Libc.Unmount(at, 8) != 0)
                throw new RefusedException($"{at} on {target.Name} cannot be unmounted ({Libc.Text(Marshal.GetLastPInvokeError())}); close what uses it and try again. Nothing was written.");
        return LinuxDisk.Open(target.Disk);
    }

    /// <summary>Opens a drive or file for comparing. It may be in use: nothing is changed.</summary>
    public static IMedium OpenForReading(string target, SystemFacts facts) =>
        Resolve(target, facts) is { } disk ? OpenForReading(disk, facts)
        : IsOrdinaryFile(target) ? new FileTarget(target, 0)
        : throw new RefusedException($"There is no drive {target}; flasher list shows those that are there.");

    private static IMedium OpenForReading(Disk disk, SystemFacts facts) =>
        OperatingSystem.IsWindows() ? WindowsDisk.Open(disk, VolumesOf(disk, facts), write: false)
        : OperatingSystem.IsMacOS() ? MacDisk.Open(disk, write: false)
        : LinuxDisk.OpenForReading(disk);

    private static IEnumerable<string> VolumesOf(Disk disk, SystemFacts facts) => facts.Nodes.Where(n => n.Kind == NodeKind.Partition && n.On.Contains(disk.Node)).Select(n => n.Name);

    /// <summary>After success: the kernel reads the new table, and the medium may be ejected.</summary>
    public static void Finish(IMedium medium, bool eject)
    {
        if (medium is WindowsDisk windows) windows.RereadTable();
        if (medium is not LinuxDisk disk) return;
        disk.RereadTable();
        if (eject) disk.Eject();
    }
}
