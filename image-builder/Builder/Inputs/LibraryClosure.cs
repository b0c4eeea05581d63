using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>A file of the root file system under the name by which a program finds it.</summary>
/// <param name="Path">Path it has in the initramfs.</param>
/// <param name="Content">Its bytes.</param>
internal sealed record LibraryFile(string Path, byte[] Content);

/// <summary>Collects what a dynamically linked program needs to run: its interpreter and libraries, and what those need.</summary>
internal static class LibraryClosure
{
    private static readonly string[] Plain = ["lib64", "usr/lib64", "lib", "usr/lib"];

    /// <summary>The names that the program's own headers ask for; empty for a static program.</summary>
    public static IReadOnlyList<string> Wanted(ElfDynamic program) =>
        program.Interpreter is null ? [] : [BaseName(program.Interpreter), .. program.Needed];

    /// <summary>The files; null and the first missing name when the root file system does not have all of them.</summary>
    public static (IReadOnlyList<LibraryFile> Files, string? Missing) Of(ElfDynamic program, RootfsFacts rootfs)
    {
        var files = new List<LibraryFile>();
        if (program.Interpreter is null) return (files, null);
        if (Interpreter(program.Interpreter, rootfs) is not { } interpreter) return (files, program.Interpreter);
        // The kernel opens the interpreter under exactly the path that the program names.
        files.Add(new(program.Interpreter.TrimStart('/'), interpreter));

        var queue = new Queue<string>(program.Needed);
        var seen = new HashSet<string>(StringComparer.Ordinal) { BaseName(program.Interpreter) };
        while (queue.TryDequeue(out var name))
        {
            if (!seen.Add(name)) continue;
            if (Find(name, rootfs) is not var (path, content)) return (files, name);
            files.Add(new(path, content));
            foreach (var next in ElfDynamic.Read(content)?.Needed ?? []) queue.Enqueue(next);
        }

        return (files, null);
    }

    /// <summary>The link that makes the interpreter's path work in the rootfs, when the rootfs keeps the interpreter elsewhere: programs of
    /// other distributions ask for /lib64/ld-linux-x86-64.so.2, Yocto without multilib has it in /lib.</summary>
    public static (string Path, string Target)? InterpreterLink(ElfDynamic program, RootfsFacts rootfs)
    {
        if (program.Interpreter is not { } wanted || rootfs.Names.Exists(wanted) || Find(BaseName(wanted), rootfs) is not var (path, _)) return null;
        return (wanted.TrimStart('/'), "/" + path);
    }

    private static byte[]? Interpreter(string path, RootfsFacts rootfs) =>
        Content(path, rootfs) ?? Find(BaseName(path), rootfs)?.Content;

    private static (string Path, byte[] Content)? Find(string name, RootfsFacts rootfs)
    {
        foreach (var directory in Directories(rootfs))
        {
            if (Content($"{directory}/{name}", rootfs) is not { } content) continue;
            // The real directory: with usrmerge /lib is a link, and the dynamic linker may look into /usr/lib only.
            return ($"{rootfs.Names.Resolve(directory)}/{name}", content);
        }

        return null;
    }

    private static IEnumerable<string> Directories(RootfsFacts rootfs)
    {
        // Debian's multiarch directories: lib/x86_64-linux-gnu.
        var triplets = Plain[2..].SelectMany(l => rootfs.Names.In(l).Where(n => n.EndsWith("-linux-gnu", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(n => $"{l}/{n}"));
        return Plain.Concat(triplets).Where(rootfs.Names.Exists);
    }

    private static byte[]? Content(string path, RootfsFacts rootfs) =>
        rootfs.Names.Resolve(path) is { } real ? rootfs.Kept.GetValueOrDefault(real) : null;

    private static string BaseName(string path) => path[(path.LastIndexOf('/') + 1)..];
}
