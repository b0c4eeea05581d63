using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>A boot action that must not fail has failed.</summary>
internal sealed class BootFailedException(string message, Exception inner) : Exception(message, inner);

/// <summary>Performs boot actions on the running system.</summary>
/// <param name="log">Where failures go.</param>
/// <param name="modules">The kernel's modules; without them the table's are left out.</param>
/// <param name="hasProgram">Whether the root has a program of this name.</param>
internal sealed class Boot(Action<string> log, KernelModules? modules = null, Func<string, bool>? hasProgram = null)
{
    /// <summary>Performs a table in order.</summary>
    /// <exception cref="BootFailedException">A fatal action failed.</exception>
    public void Perform(IEnumerable<BootAction> table)
    {
        foreach (var action in table)
        {
            if (action.OnlyWith is { } program && hasProgram?.Invoke(program) != true) continue;
            try
            {
                Perform(action);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                switch (action.Need)
                {
                    case Need.Fatal: throw new BootFailedException($"{action}: {e.Message}", e);
                    case Need.Wanted: log($"{action}: {e.Message}; going on without it"); break;
                    case Need.Optional: break;
                    default: throw new System.Diagnostics.UnreachableException();
                }
            }
        }
    }

    private void Perform(BootAction action)
    {
        switch (action)
        {
            case BootAction.Directory d: MakeDirectory(d.Path, d.Mode); break;
            case BootAction.Mount m: MountOnce(m); break;
            case BootAction.Propagate p: Libc.Mount("none", p.Target, null, p.Flags, null); break;
            case BootAction.Link l: MakeLink(l.Path, l.To); break;
            case BootAction.Write w: WriteKernelFile(w.Path, w.Text); break;
            case BootAction.Limit l: Libc.SetLimit(l.Resource, l.Value); break;
            case BootAction.Module m: modules?.Load(m.Name, log); break;
            case BootAction.Overlay o: MakeWritable(o); break;
            default: throw new System.Diagnostics.UnreachableException($"unknown boot action {action}");
        }
    }

    /// <summary>Makes a directory with its parents; a link that leads nowhere (/var/log -> volatile/log) gets the directory it points to.</summary>
    private static void MakeDirectory(string path, UnixFileMode mode)
    {
        if (new FileInfo(path).LinkTarget is { } target && !Directory.Exists(path))
            path = Path.GetFullPath(target, Path.GetDirectoryName(path)!);
        Directory.CreateDirectory(path);
        File.SetUnixFileMode(path, mode);
    }

    /// <summary>A mount that is there already (from the initramfs, or devtmpfs by the kernel) is good.</summary>
    private static void MountOnce(BootAction.Mount mount)
    {
        if (File.Exists("/proc/self/mountinfo") && MountInfo.Current().Any(m => m.Target == mount.Target && m.Type == mount.Type)) return;
        try
        {
            Libc.Mount(mount.Type, mount.Target, mount.Type, mount.Flags, mount.Data);
        }
        catch (LinuxException e) when (e.Errno == Libc.EINVAL && mount.Data is not null)
        {
            Libc.Mount(mount.Type, mount.Target, mount.Type, mount.Flags, null); // an older kernel that does not know an option
        }
    }

    private static void MakeLink(string path, string to)
    {
        var existing = new FileInfo(path);
        if (existing.LinkTarget == to) return;
        if (existing.Exists || existing.LinkTarget is not null) return; // the kernel or the root has something of its own there
        File.CreateSymbolicLink(path, to);
    }

    /// <summary>One write(2), as kernel files want it.</summary>
    private static void WriteKernelFile(string path, string text)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        Libc.Write(file, System.Text.Encoding.ASCII.GetBytes(text), path);
    }

    private void MakeWritable(BootAction.Overlay overlay)
    {
        if (!Directory.Exists(overlay.Path)) throw new IOException("the root file system has no such directory; add it to the rootfs");
        var upper = Path.Combine(overlay.Upper, "upper");
        var work = Path.Combine(overlay.Upper, "work");
        Directory.CreateDirectory(upper);
        Directory.CreateDirectory(work);
        File.SetUnixFileMode(upper, File.GetUnixFileMode(overlay.Path));
        try
        {
            Libc.Mount("overlay", overlay.Path, "overlay", Libc.MsNoAtime, $"lowerdir={overlay.Path},upperdir={upper},workdir={work}");
        }
        catch (LinuxException e)
        {
            log($"{overlay}: {e.Message}; copying it into memory instead");
            CopyTree(new DirectoryInfo(overlay.Path), upper);
            Libc.Mount(upper, overlay.Path, null, Libc.MsBind, null);
        }
    }

    private static void CopyTree(DirectoryInfo from, string to)
    {
        foreach (var entry in from.EnumerateFileSystemInfos())
        {
            var target = Path.Combine(to, entry.Name);
            if (entry.LinkTarget is { } link)
            {
                File.CreateSymbolicLink(target, link);
            }
            else if (entry is DirectoryInfo directory)
            {
                Directory.CreateDirectory(target);
                File.SetUnixFileMode(target, directory.UnixFileMode);
                CopyTree(directory, target);
            }
            else
            {
                File.Copy(entry.FullName, target);
            }
        }
    }
}
