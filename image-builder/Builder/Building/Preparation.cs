using System.Globalization;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>What is known of a job before the root file system is read.</summary>
internal sealed record Material
{
    public required BuildRequest Request { get; init; }
    public required DeployContent Deploy { get; init; }
    public required UserFiles User { get; init; }

    /// <summary>The supervisor's needs; null for a static program.</summary>
    public required ElfDynamic? Program { get; init; }

    /// <summary>Digests of everything that makes the system.</summary>
    public required IReadOnlyList<InputDigest> Digests { get; init; }

    public required Identity Identity { get; init; }

    /// <summary>Time stamp of everything the builder makes, seconds since 1970.</summary>
    public required long Time { get; init; }

    public Board Board => Request.Board;

    public string FileName => $"{Deploy.Image}-{Deploy.Machine}.img";
}

/// <summary>Everything before an image is whole on paper: reads the inputs, collects all problems, makes the initramfs.</summary>
internal static class Preparation
{
    // What OpenEmbedded stamps files with when a build says nothing (REPRODUCIBLE_TIMESTAMP_ROOTFS of old releases, 2011-04-05).
    private const long DefaultTime = 1302044400;

    /// <summary>The plan of a job; nothing is written.</summary>
    /// <exception cref="RefusedException">Something is wrong with the inputs; it names all of it.</exception>
    public static ImagePlan Plan(BuildRequest request, Progress progress, CancellationToken cancel)
    {
        var problems = new Problems();
        var material = Look(request, FileDigests.None, problems, cancel);
        if (material is null || Read(material, null, progress, problems, cancel) is not { } inputs || problems.Any) throw new RefusedException(problems.Sentences);
        inputs = inputs with { Initramfs = Initramfs(inputs, material.Program, null, BeginInitramfs(material), problems) };
        var plan = ImagePlanner.Plan(inputs, problems);
        problems.ThrowIfAny();
        return plan!;
    }

    /// <summary>Finds all inputs and looks at their headers; null when something is missing that nothing can be planned without.</summary>
    public static Material? Look(BuildRequest request, FileDigests digests, Problems problems, CancellationToken cancel)
    {
        var board = request.Board;
        var deploy = DeployReader.Read(request.Deploy, board, request.Image, problems);
        var supervisor = request.Supervisor ?? SupervisorBeside(AppContext.BaseDirectory, board.Arch, problems);
        var user = UserFileReader.Read(supervisor, request.Compose, request.Config, request.Load, MachineCode.Of(board.Arch), problems);
        if (!request.PlanOnly) Outputs.Check(request.Output, 0, problems);
        if (deploy is null || user.Supervisor is null) return null;

        var made = DigestsOf(deploy, user.Supervisor, digests, cancel);
        return new()
        {
            Request = request,
            Deploy = deploy,
            User = user,
            Program = ProgramOf(user.Supervisor),
            Digests = made,
            Identity = Identity.From(board.Name, made),
            Time = request.SourceDateEpoch
                ?? (long.TryParse(deploy.TestData["REPRODUCIBLE_TIMESTAMP_ROOTFS"], NumberStyles.None, CultureInfo.InvariantCulture, out var stamp) ? stamp : DefaultTime),
        };
    }

    private static ElfDynamic? ProgramOf(InputFile supervisor)
    {
        using var file = supervisor.Open();
        return ElfDynamic.Read(file);
    }

    /// <summary>Reads the root file system and the modules, once; what they hold goes to <paramref name="root"/> as well. Null when they cannot be read.</summary>
    public static PlanInputs? Read(Material material, RootPass? root, Progress progress, Problems problems, CancellationToken cancel)
    {
        var deploy = material.Deploy;
        var program = material.Program;
        var step = progress.Begin("root", deploy.Rootfs.Size);
        var rootfs = RootfsReader.Scan(
            deploy.Rootfs, deploy.RootfsType, material.Board, program is null ? [] : LibraryClosure.Wanted(program), root is null ? null : root.Add, step.At, problems, cancel);
        step.End();
        // The kernel does not always tell its version (a FIT does not); then the only modules there are decide.
        var version = deploy.KernelFacts.Version;
        var own = rootfs is not null && (version ?? (rootfs.ModuleVersions is [var only] ? only : null)) is { } v ? ModuleSet.FromRootfs(rootfs, v) : null;
        var folder = rootfs is null ? "" : RootEntries.ModulesFolder(rootfs.Names);
        var modules = own ?? (deploy.Modules is not { } archive ? null : ModuleArchive.Scan(archive, version, root is null || rootfs is null ? null : (node, content) =>
        {
            cancel.ThrowIfCancellationRequested();
            root.Add(folder.Length == 0 ? node : node with { Path = $"{folder}/{node.Path}" }, content);
        }, problems));
        if (rootfs is null) return null;
        return new()
        {
            Board = material.Board,
            Deploy = deploy,
            User = material.User,
            System = SystemFacts.Of(rootfs, deploy, modules),
            Rootfs = rootfs,
            Modules = modules,
            InterpreterLink = program is null ? null : LibraryClosure.InterpreterLink(program, rootfs),
            Identity = material.Identity,
            Time = material.Time,
            BuilderVersion = material.Request.BuilderVersion,
        };
    }

    /// <summary>The initramfs; null when the kernel needs none, or with a problem.</summary>
    /// <param name="inputs">What was read.</param>
    /// <param name="program">The supervisor's needs.</param>
    /// <param name="root">The root that was written, to take the modules from; null to take them from where they came.</param>
    /// <param name="supervisor">Its first part, which is under way already.</param>
    /// <param name="problems">Where the problem goes.</param>
    public static Source? Initramfs(PlanInputs inputs, ElfDynamic? program, IFileSystem? root, Task<MemoryStream> supervisor, Problems problems)
    {
        var (deploy, rootfs) = (inputs.Deploy, inputs.Rootfs);
        if (deploy.Initramfs is { } given) return new Source.FromFile(given);
        if (inputs.Modules is not { } modules || modules.Index.LoadOrder(inputs.Board.InitramfsModules) is not { Count: > 0 } order) return null;
        var (libraries, missing) = program is null ? ([], null) : LibraryClosure.Of(program, rootfs);
        if (missing is not null)
        {
            problems.Add($"The supervisor needs {missing}, which the root file system {deploy.Rootfs.Name} does not have; build the image with glibc (TCLIBC) or give a supervisor made for its C library.");
            return null;
        }

        var entries = root is not null ? Written(root, modules, rootfs, order)
            : modules.InRootfs ? RootfsReader.Entries(deploy.Rootfs.Open(), deploy.RootfsType)
            : ModuleArchive.Read(deploy.Modules!);
        var archives = supervisor.GetAwaiter().GetResult();
        InitramfsMaker.Rest(new()
        {
            Libraries = libraries,
            KernelVersion = modules.Version,
            Modules = ModuleArchive.Take(entries, modules.Version, order),
            Name = $"{deploy.Image} for {inputs.Board.Name}",
            Time = inputs.Time,
        }, archives);
        return new Source.Made(archives.GetBuffer().AsMemory(0, (int)archives.Length));
    }

    /// <summary>Begins with the part of the initramfs that depends on no other input, on another thread; empty when none will be made.</summary>
    public static Task<MemoryStream> BeginInitramfs(Material material) => material.Deploy.Initramfs is not null || material.Board.InitramfsModules.Count == 0
        ? Task.FromResult(new MemoryStream())
        : Task.Run(() => InitramfsMaker.Supervisor(material.User.Supervisor!, material.Time));

    private static IEnumerable<TreeEntry> Written(IFileSystem root, ModuleSet modules, RootfsFacts rootfs, IReadOnlyList<string> order)
    {
        var folder = modules.InRootfs ? rootfs.Names.Resolve("lib/modules/" + modules.Version)! : $"{RootEntries.ModulesFolder(rootfs.Names)}/lib/modules/{modules.Version}".TrimStart('/');
        foreach (var path in order)
            if (root.Find($"{folder}/{path}") is { Kind: NodeKind.File } node) yield return new(node, root.Open(node.Path));
    }

    /// <summary>Digests of everything that makes the system, on all cores.</summary>
    private static InputDigest[] DigestsOf(DeployContent deploy, InputFile supervisor, FileDigests digests, CancellationToken cancel)
    {
        // The name in the role: two blobs that swap places make another image. A supervisor's path says nothing.
        var files = deploy.Files.DistinctBy(f => f.Path)
            .Select(f => (Role: f == deploy.Rootfs ? "rootfs" : "file " + f.Name, File: f, InRoot: f == deploy.Rootfs || f == deploy.Modules))
            .Append((Role: "supervisor", File: supervisor, InRoot: true)).ToArray();
        var made = new InputDigest[files.Length];
        Parallel.For(0, files.Length, new() { CancellationToken = cancel, MaxDegreeOfParallelism = Environment.ProcessorCount }, i => made[i] = new(files[i].Role, digests.Of(files[i].File), files[i].InRoot));
        return made;
    }

    /// <summary>The supervisor that was published with this program: <c>dist/linux-x64/image-builder</c>, <c>dist/linux-arm64/supervisor</c>.</summary>
    internal static string? SupervisorBeside(string home, BoardArch arch, Problems problems)
    {
        var rid = arch == BoardArch.X8664 ? "linux-x64" : "linux-arm64";
        string[] places = [Path.Combine(home, "..", rid, "supervisor"), Path.Combine(home, rid, "supervisor"), Path.Combine(home, "supervisor")];
        if (places.FirstOrDefault(File.Exists) is { } found) return Path.GetFullPath(found);
        problems.Add($"There is no supervisor for {rid} beside image-builder ({Path.GetFullPath(places[0])}); run ./build.sh publish or name one with --supervisor.");
        return null;
    }
}
