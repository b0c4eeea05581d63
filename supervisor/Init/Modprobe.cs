using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>modprobe for the kernel and the engine, when the root has none: this same program under that name.</summary>
internal static class Modprobe
{
    public const string Directory = "/run/osbuild/bin";
    private const string Link = Directory + "/modprobe";
    private static readonly string[] Places = ["/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe"];

    /// <summary>True when we are the modprobe of this host.</summary>
    public static bool IsOurs { get; private set; }

    public static void Install(KernelModules modules, Action<string> log)
    {
        if (!modules.Any || Places.Any(File.Exists)) return;
        try
        {
            System.IO.Directory.CreateDirectory(Directory);
            if (!File.Exists(Link)) File.CreateSymbolicLink(Link, Environment.ProcessPath ?? PidOne.Program);
            File.WriteAllText("/proc/sys/kernel/modprobe", Link);
            IsOurs = true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log($"modprobe: {e.Message}");
        }
    }

    /// <summary>The names in a modprobe command line, or null when it is not one. The kernel calls <c>modprobe -q -- NAME</c>, dockerd <c>modprobe -va NAME...</c>.</summary>
    public static IReadOnlyList<string>? Names(string program, IReadOnlyList<string> arguments)
    {
        if (Path.GetFileName(program) != "modprobe" && arguments is not ["modprobe", ..] && arguments is not ["-q", "--", ..]) return null;
        var names = arguments.Where(a => a.Length > 0 && a[0] != '-').ToList();
        if (names is ["modprobe", ..]) names.RemoveAt(0);
        return arguments.Contains("-r") || arguments.Contains("--remove") ? [] : names;
    }

    /// <summary>Exit code 0 when every name is loaded, loadable now or built in.</summary>
    public static int Run(IReadOnlyList<string> names)
    {
        var modules = new KernelModules();
        var failed = false;
        foreach (var name in names)
        {
            if (!modules.Knows(name))
            {
                failed = true;
                continue;
            }

            modules.Load(name, message =>
            {
                failed = true;
                Console.Error.WriteLine(message);
            });
        }

        return failed ? 1 : 0;
    }
}
