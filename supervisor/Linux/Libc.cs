using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace OsBuild.Supervisor.Linux;

/// <summary>A system call that failed: names the call, what it was about and errno.</summary>
internal sealed class LinuxException(string call, int errno) : IOException($"{call}: {Libc.ErrorText(errno)}")
{
    /// <summary>errno as the kernel gave it.</summary>
    public int Errno { get; } = errno;
}

/// <summary>
/// The system calls PID 1 needs, each as one method that throws <see cref="LinuxException"/>. Tmds.LibC declares most of them; those it lacks
/// are declared at the end.
/// </summary>
internal static unsafe partial class Libc
{
    public const int ENOENT = 2, EINTR = 4, EAGAIN = 11, EBUSY = 16, EEXIST = 17, ENODEV = 19, ENOTDIR = 20, EINVAL = 22, ENOSYS = 38, ENOBUFS = 105;

    // include/uapi/asm-generic/signal.h; the same on every architecture .NET runs on
    public const int SIGINT = 2, SIGKILL = 9, SIGUSR1 = 10, SIGUSR2 = 12, SIGPIPE = 13, SIGTERM = 15, SIGPWR = 30;

    // include/uapi/linux/mount.h
    public const ulong MsRdOnly = 1, MsNoSuid = 2, MsNoDev = 4, MsNoExec = 8, MsRemount = 32, MsNoAtime = 1024, MsMove = 8192, MsRec = 16384,
        MsBind = 4096, MsShared = 1 << 20, MsPrivate = 1 << 18, MsStrictAtime = 1 << 24;

    public const int MntForce = 1, MntDetach = 2;

    public static string ErrorText(int errno) => Marshal.GetPInvokeErrorMessage(errno);

    public static void Mount(string source, string target, string? type, ulong flags, string? data)
    {
        fixed (byte* s = Utf8(source), t = Utf8(target), f = Utf8(type), d = Utf8(data))
        {
            if (mount(s, t, f, (ulong_t)flags, d) == 0) return;
            var error = errno;
            throw new LinuxException($"mount {(type is null ? "" : type + " ")}{source} on {target}", error);
        }
    }

    public static void Unmount(string target, int flags = 0)
    {
        fixed (byte* t = Utf8(target))
        {
            if (umount2(t, flags) == 0) return;
            var error = errno;
            throw new LinuxException($"umount {target}", error);
        }
    }

    public static void Kill(int pid, int signal)
    {
        if (kill(pid, signal) == 0) return;
        var error = errno;
        throw new LinuxException($"kill {pid} with signal {signal}", error);
    }

    /// <summary>True when a process of this id exists.</summary>
    public static bool Exists(int pid) => kill(pid, 0) == 0;

    public static void Sync() => sync();

    public static void SetHostName(string name)
    {
        var bytes = Utf8(name)!;
        fixed (byte* n = bytes)
        {
            if (sethostname(n, bytes.Length - 1) == 0) return;
            var error = errno;
            throw new LinuxException($"sethostname {name}", error);
        }
    }

    public static void ChangeRoot(string path)
    {
        fixed (byte* p = Utf8(path), slash = "/\0"u8)
        {
            if (chdir(p) == 0 && chroot(p) == 0 && chdir(slash) == 0) return;
            var error = errno;
            throw new LinuxException($"chroot {path}", error);
        }
    }

    public static void ChangeDirectory(string path)
    {
        fixed (byte* p = Utf8(path))
        {
            if (chdir(p) == 0) return;
            var error = errno;
            throw new LinuxException($"chdir {path}", error);
        }
    }

    /// <summary>Replaces this process. Only returns by throwing.</summary>
    public static void Execute(string program, IReadOnlyList<string> arguments, IReadOnlyList<string> environment)
    {
        var argv = Strings([program, .. arguments]);
        var envp = Strings(environment);
        int result;
        fixed (byte* p = Utf8(program)) result = execve(p, argv, envp);
        var error = result == 0 ? 0 : errno;
        throw new LinuxException($"execve {program}", error);
    }

    /// <summary>Makes a device node, unless there is one already.</summary>
    public static void MakeNode(string path, uint mode, uint major, uint minor)
    {
        fixed (byte* p = Utf8(path))
        {
            var device = ((ulong)(minor & 0xffffff00) << 12) | ((ulong)major << 8) | (minor & 0xff);
            if (mknod_(p, mode, device) == 0) return;
            var error = Marshal.GetLastPInvokeError();
            if (error != EEXIST) throw new LinuxException($"mknod {path}", error);
        }
    }

    /// <summary>Opens a directory, for the ioctls of its file system.</summary>
    public static SafeFileHandle OpenDirectory(string path)
    {
        fixed (byte* p = Utf8(path))
        {
            var descriptor = open(p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (descriptor >= 0) return new SafeFileHandle(descriptor, ownsHandle: true);
            var error = errno;
            throw new LinuxException($"open {path}", error);
        }
    }

    /// <summary>write(2): for consoles, devices and kernel files, which have no position.</summary>
    public static void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, string name)
    {
        fixed (byte* b = bytes)
        {
            var done = 0;
            while (done < bytes.Length)
            {
                var count = (long)write((int)file.DangerousGetHandle(), b + done, bytes.Length - done);
                var error = count < 0 ? errno : 0;
                if (error == EINTR) continue;
                if (count < 0) throw new LinuxException($"write {name}", error);
                done += (int)count;
            }
        }
    }

    public static void SyncFile(SafeFileHandle file, string name)
    {
        if (fsync((int)file.DangerousGetHandle()) == 0) return;
        var error = errno;
        throw new LinuxException($"fsync {name}", error);
    }

    /// <summary>Lets the kernel forget what it keeps in memory of a file that is on the medium: what is read next comes from there (posix_fadvise(2), POSIX_FADV_DONTNEED).</summary>
    public static void ForgetCached(SafeFileHandle file, long length) => _ = posix_fadvise((int)file.DangerousGetHandle(), 0, length, 4);

    /// <summary>An ioctl on an open file; gives what the call returned, or minus errno.</summary>
    public static int Ioctl(SafeHandle file, uint request, void* argument)
    {
        var taken = false;
        try
        {
            file.DangerousAddRef(ref taken);
            return Ioctl((int)file.DangerousGetHandle(), request, argument);
        }
        finally
        {
            if (taken) file.DangerousRelease();
        }
    }

    public static int Ioctl(int descriptor, uint request, void* argument)
    {
        var result = ioctl(descriptor, (int)request, argument);
        return result >= 0 ? result : -errno;
    }

    /// <summary>Loads a module from an open .ko file. False when the kernel has it already.</summary>
    public static bool LoadModule(SafeHandle file, string parameters, string name, bool compressed)
    {
        fixed (byte* p = Utf8(parameters))
        {
            // MODULE_INIT_COMPRESSED_FILE, include/uapi/linux/module.h
            var result = (long)syscall(FinitModule, (int)file.DangerousGetHandle(), p, compressed ? 4 : 0);
            var error = errno;
            if (result == 0) return true;
            return error == EEXIST ? false : throw new LinuxException($"load module {name}", error);
        }
    }

    /// <summary>Loads a module from memory. False when the kernel has it already.</summary>
    public static bool LoadModule(ReadOnlySpan<byte> module, string parameters, string name)
    {
        fixed (byte* m = module, p = Utf8(parameters))
        {
            if (init_module(m, (nuint)module.Length, p) == 0) return true;
            var error = Marshal.GetLastPInvokeError();
            return error == EEXIST ? false : throw new LinuxException($"load module {name}", error);
        }
    }

    /// <summary>reboot(2): never returns when it works.</summary>
    public static void Reboot(RebootKind kind)
    {
        if (reboot((int)kind) == 0) return;
        var error = Marshal.GetLastPInvokeError();
        throw new LinuxException($"reboot ({kind})", error);
    }

    /// <summary>Restarts with a word for the firmware (reboot(2), LINUX_REBOOT_CMD_RESTART2): never returns when it works.</summary>
    public static void Restart(string word)
    {
        fixed (byte* w = Utf8(word))
        {
            // The numbers of include/uapi/linux/reboot.h; the C library's reboot has no room for the word.
            _ = syscall(RebootCall, unchecked((int)0xfee1dead), 672274793, unchecked((int)0xa1b2c3d4), w);
            var error = errno;
            throw new LinuxException($"reboot ({word})", error);
        }
    }

    public static void SetLimit(int resource, ulong value)
    {
        ulong* limit = stackalloc ulong[2] { value, value };
        if (setrlimit(resource, limit) == 0) return;
        var error = Marshal.GetLastPInvokeError();
        throw new LinuxException($"setrlimit {resource}", error);
    }

    /// <summary>Sets the wall clock.</summary>
    public static void SetClock(DateTimeOffset time)
    {
        var ticks = (time - DateTimeOffset.UnixEpoch).Ticks;
        long* spec = stackalloc long[2] { ticks / TimeSpan.TicksPerSecond, ticks % TimeSpan.TicksPerSecond * 100 };
        if (clock_settime(0, spec) == 0) return;
        var error = Marshal.GetLastPInvokeError();
        throw new LinuxException("clock_settime", error);
    }

    /// <summary>A signal's disposition back to the default, before an exec: ignored signals would be inherited.</summary>
    public static void DefaultSignal(int number) => signal(number, 0);

    /// <summary>glibc has no function for it; the numbers are those of unistd.h.</summary>
    private static int FinitModule => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 313,
        Architecture.Arm => 379,
        _ => 273, // the generic table: arm64, riscv64
    };

    private static int RebootCall => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 169,
        Architecture.Arm => 88,
        _ => 142,
    };

    private static byte[]? Utf8(string? text) => text is null ? null : [.. Encoding.UTF8.GetBytes(text), 0];

    private static byte** Strings(IReadOnlyList<string> texts)
    {
        var array = (byte**)NativeMemory.AllocZeroed((nuint)(texts.Count + 1), (nuint)sizeof(byte*));
        for (var i = 0; i < texts.Count; i++) array[i] = (byte*)Marshal.StringToCoTaskMemUTF8(texts[i]);
        return array;
    }

    /// <summary>Unmaps pages of a private mapping (madvise(2), MADV_DONTNEED): a file's come back from the file when they are touched.</summary>
    public static void ForgetPages(ulong start, ulong length) => _ = madvise((void*)start, (size_t)length, 4);

    /// <summary>Gives the kernel back what malloc keeps in reserve (malloc_trim(3), the GNU C library's).</summary>
    public static void TrimHeap() => _ = malloc_trim(0);

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint pad);

    [LibraryImport("libc")]
    private static partial int posix_fadvise(int descriptor, long offset, long length, int advice);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int reboot(int command);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int init_module(byte* module, nuint length, byte* parameters);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setrlimit(int resource, ulong* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int clock_settime(int clock, long* time);

    [LibraryImport("libc")]
    private static partial nint signal(int number, nint handler);

    [LibraryImport("libc", EntryPoint = "mknod", SetLastError = true)]
    private static partial int mknod_(byte* path, uint mode, ulong device);
}

/// <summary>The commands of reboot(2), include/uapi/linux/reboot.h.</summary>
internal enum RebootKind
{
    Restart = 0x01234567,
    PowerOff = 0x4321fedc,
    Halt = unchecked((int)0xcdef0123),
}
