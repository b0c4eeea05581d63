using System.Runtime.InteropServices;
using System.Security.Principal;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace OsBuild.Flasher.Drives;

/// <summary>Asks Windows for its drives and volumes by the storage IOCTLs. Compiled; what it gives is judged in tests from recorded
/// snapshots; not run on Windows.</summary>
internal static unsafe class WindowsOs
{
    private const int MostDrives = 64;
    private const uint StorageQueryProperty = 0x2d1400, DiskGetLengthInfo = 0x7405c, DiskIsWritable = 0x70024, DiskGetDriveGeometryEx = 0x700a0, DiskGetDriveLayoutEx = 0x70050, VolumeGetDiskExtents = 0x560000;

    public static SystemFacts Gather(string? image)
    {
        List<WindowsDisk> disks = [];
        for (var number = 0; number < MostDrives; number++)
            if (DiskAt(number) is { } disk) disks.Add(disk);
        var folders = ((Environment.SpecialFolder[])[Environment.SpecialFolder.Windows, Environment.SpecialFolder.UserProfile, Environment.SpecialFolder.ProgramFiles, Environment.SpecialFolder.CommonApplicationData])
            .Select(Environment.GetFolderPath).Where(f => f.Length > 0).Distinct().ToList();
        return WindowsFacts.From(new WindowsSnapshot
        {
            Disks = disks,
            Volumes = Volumes(),
            SystemFolders = folders,
            Image = image is null ? null : Path.GetFullPath(image),
            Program = Environment.ProcessPath,
            Administrator = IsAdministrator,
        });
    }

    public static bool IsAdministrator
    {
        get
        {
            if (!OperatingSystem.IsWindows()) return false;
            using var identity = WindowsIdentity.GetCurrent();
            return new WindowsPrincipal(identity).IsInRole(WindowsBuiltInRole.Administrator);
        }
    }

    private static WindowsDisk? DiskAt(int number)
    {
        // No access right is needed for most questions; a drive without a medium still answers.
        using var handle = Kernel32.CreateFile($@"\\.\PhysicalDrive{number}", 0, 3, 0, 3, 0, 0);
        if (handle.IsInvalid) return null;
        var descriptor = new byte[1024];
        var query = new byte[12];
        var described = Ask(handle, StorageQueryProperty, query, descriptor) >= 36;
        var geometry = new byte[256];
        var measured = Ask(handle, DiskGetDriveGeometryEx, [], geometry) >= 32;
        var writable = Ask(handle, DiskIsWritable, [], []) >= 0;
        var (types, complete) = PartitionTypes(handle);
        return new WindowsDisk
        {
            Number = number,
            // STORAGE_DEVICE_DESCRIPTOR: RemovableMedia at 10, offsets of vendor, product and serial at 12, 16, 24, BusType at 28.
            RemovableMedia = descriptor[10] != 0,
            Vendor = TextAt(descriptor, 12),
            Product = TextAt(descriptor, 16),
            Serial = TextAt(descriptor, 24),
            Bus = BitConverter.ToInt32(descriptor, 28),
            // DISK_GEOMETRY_EX: BytesPerSector at 20, DiskSize at 24.
            SectorSize = measured ? BitConverter.ToInt32(geometry, 20) : 512,
            Size = measured ? BitConverter.ToInt64(geometry, 24) : 0,
            Writable = writable,
            PartitionTypes = types,
            Complete = described && complete,
        };
    }

    /// <summary>DRIVE_LAYOUT_INFORMATION_EX: style at 0, count at 4, entries of 144 bytes from 48; the type of a GPT entry is at 32, of an MBR entry at 32 (one byte).</summary>
    private static (List<string> Types, bool Complete) PartitionTypes(SafeFileHandle handle)
    {
        var layout = new byte[48 + (144 * 256)];
        var got = Ask(handle, DiskGetDriveLayoutEx, [], layout);
        if (got < 48) return ([], got >= 0 || Marshal.GetLastPInvokeError() is 21 or 1 or 1112);
        List<string> types = [];
        for (var i = 0; i < Math.Min(BitConverter.ToInt32(layout, 4), 256); i++)
        {
            var at = 48 + (144 * i) + 32;
            types.Add(BitConverter.ToInt32(layout, 0) == 1 ? new Guid(layout.AsSpan(at, 16)).ToString() : $"0x{layout[at]:x2}");
        }

        return (types, true);
    }

    private static List<WindowsVolume> Volumes()
    {
        List<WindowsVolume> volumes = [];
        var name = stackalloc char[64];
        var search = Kernel32.FindFirstVolume(name, 64);
        if (search == -1) return volumes;
        do volumes.Add(VolumeNamed(new string(name)));
        while (Kernel32.FindNextVolume(search, name, 64));
        Kernel32.FindVolumeClose(search);
        return volumes;
    }

    private static WindowsVolume VolumeNamed(string name)
    {
        var paths = stackalloc char[4096];
        List<string> mounted = Kernel32.GetVolumePathNames(name, paths, 4096, out var length)
            ? [.. new string(paths, 0, (int)length).Split('\0', StringSplitOptions.RemoveEmptyEntries)] : [];
        using var handle = Kernel32.CreateFile(name.TrimEnd('\\'), 0, 3, 0, 3, 0, 0);
        var extents = new byte[8 + (24 * 64)];
        var got = handle.IsInvalid ? -1 : Ask(handle, VolumeGetDiskExtents, [], extents);
        // VOLUME_DISK_EXTENTS: count at 0, entries of 24 bytes from 8, disk number first. CD drives have none.
        List<int> disks = got < 8 ? [] : [.. Enumerable.Range(0, Math.Min(BitConverter.ToInt32(extents, 0), 64)).Select(i => BitConverter.ToInt32(extents, 8 + (24 * i))).Distinct()];
        string[] files = ["pagefile.sys", "hiberfil.sys", "swapfile.sys"];
        return new WindowsVolume
        {
            Name = name,
            Paths = mounted,
            Disks = disks,
            SystemFiles = [.. files.Where(f => mounted.Count > 0 && Kernel32.GetFileAttributes(mounted[0] + f) != uint.MaxValue)],
            Complete = got >= 8 || Marshal.GetLastPInvokeError() == 1,
        };
    }

    private static int Ask(SafeFileHandle handle, uint code, byte[] input, byte[] output)
    {
        fixed (byte* from = input)
        fixed (byte* to = output)
            return Kernel32.DeviceIoControl(handle, code, from, (uint)input.Length, to, (uint)output.Length, out var got, 0) ? (int)got : -1;
    }

    private static string TextAt(byte[] descriptor, int pointer)
    {
        var at = BitConverter.ToInt32(descriptor, pointer);
        if (at <= 0 || at >= descriptor.Length) return "";
        var end = Array.IndexOf(descriptor, (byte)0, at);
        return Shown.Clean(Encoding.ASCII.GetString(descriptor, at, (end < 0 ? descriptor.Length : end) - at)).Trim();
    }
}

/// <summary>The calls of Windows' kernel32 that .NET does not have.</summary>
internal static unsafe partial class Kernel32
{
    [LibraryImport("kernel32", EntryPoint = "CreateFileW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial SafeFileHandle CreateFile(string name, uint access, uint share, nint security, uint disposition, uint flags, nint template);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool DeviceIoControl(SafeFileHandle handle, uint code, byte* input, uint inputLength, byte* output, uint outputLength, out uint got, nint overlapped);

    [LibraryImport("kernel32", EntryPoint = "FindFirstVolumeW", SetLastError = true)]
    public static partial nint FindFirstVolume(char* name, uint length);

    [LibraryImport("kernel32", EntryPoint = "FindNextVolumeW", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool FindNextVolume(nint search, char* name, uint length);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool FindVolumeClose(nint search);

    [LibraryImport("kernel32", EntryPoint = "GetVolumePathNamesForVolumeNameW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool GetVolumePathNames(string volume, char* paths, uint length, out uint got);

    [LibraryImport("kernel32", EntryPoint = "GetFileAttributesW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial uint GetFileAttributes(string path);
}
