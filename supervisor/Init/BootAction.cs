using System.Globalization;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>What a failure of a boot action means.</summary>
internal enum Need
{
    /// <summary>Without it nothing works: the boot is given up and tried again, which counts against a trial slot.</summary>
    Fatal,

    /// <summary>It should work; a failure is logged and the boot goes on.</summary>
    Wanted,

    /// <summary>Not every kernel has it; a failure is silent.</summary>
    Optional,
}

/// <summary>One line of the boot table. Data only: <see cref="Boot"/> performs it.</summary>
internal abstract record BootAction(Need Need)
{
    /// <summary>A program of the root without which the action makes no sense and is left out.</summary>
    public string? OnlyWith { get; init; }

    public sealed record Directory(string Path, UnixFileMode Mode, Need Need = Need.Wanted) : BootAction(Need)
    {
        public override string ToString() => $"mkdir {Path} {Convert.ToString((int)Mode, 8)}";
    }

    public sealed record Mount(string Type, string Target, ulong Flags = 0, string? Data = null, Need Need = Need.Wanted) : BootAction(Need)
    {
        public override string ToString() => $"mount {Type} on {Target}{(Data is null ? "" : $" ({Data})")}";
    }

    /// <summary>Mount propagation for a whole tree: containers need rslave/rshared to mean something.</summary>
    public sealed record Propagate(string Target, ulong Flags, Need Need = Need.Wanted) : BootAction(Need)
    {
        public override string ToString() => $"propagate {Target} {(Flags == (Libc.MsShared | Libc.MsRec) ? "rshared" : "rprivate")}";
    }

    public sealed record Link(string Path, string To, Need Need = Need.Wanted) : BootAction(Need)
    {
        public override string ToString() => $"link {Path} -> {To}";
    }

    public sealed record Write(string Path, string Text, Need Need = Need.Wanted) : BootAction(Need)
    {
        public override string ToString() => $"write {Path} {Text}";
    }

    public sealed record Limit(string Name, int Resource, ulong Value, Need Need = Need.Wanted) : BootAction(Need)
    {
        public override string ToString() => $"limit {Name} {Value.ToString(CultureInfo.InvariantCulture)}";
    }

    /// <summary>A module that is used before anything could ask for it.</summary>
    public sealed record Module(string Name, Need Need = Need.Optional) : BootAction(Need)
    {
        public override string ToString() => $"module {Name}";
    }

    /// <summary>Makes a directory of the read-only root writable: an overlay whose changes live in <paramref name="Upper"/>, or, without
    /// overlayfs in the kernel, a copy of it in memory.</summary>
    public sealed record Overlay(string Path, string Upper, Need Need = Need.Fatal) : BootAction(Need)
    {
        public override string ToString() => $"overlay {Path} over {Upper}";
    }
}
