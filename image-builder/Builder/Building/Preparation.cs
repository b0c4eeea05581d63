using System.Globalization;
using System.Security.Cryptography;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Everything before the first byte is written: reads all inputs, collects all problems, plans.</summary>
internal static class Preparation
{
    // What OpenEmbedded stamps files with when a build says nothing (REPRODUCIBLE_TIMESTAMP_ROOTFS of old releases, 2011-04-05).
    private const long DefaultTime = 1302044400;

    /// <exception cref="RefusedException">Something is wrong with the inputs; it names all of it.</exception>
    public static ImagePlan Plan(BuildRequest request, Progress progress, CancellationToken cancel)
    {
        var problems = new Problems();
        var board = request.Board;
        var deploy = DeployReader.Read(request.Deploy, board, request.Image, problems);
        var supervisor = request.Supervisor ?? SupervisorBeside(AppContext.BaseDirectory, board.Arch, problems);
        var user = UserFileReader.Read(supervisor, request.Compose, request.Config, request.Load, MachineCode.Of(board.Arch), problems);
        if (!request.PlanOnly) Outputs.Check(request.Output, 0, problems);
        if (deploy is null || user.Supervisor is null) throw new RefusedException(problems.Sentences);

        var inputs = Gather(request, deploy, user, progress, problems, cancel);
        if (inputs is null) throw new RefusedException(problems.Sentences);
        var plan = ImagePlanner.Plan(inputs, problems);
        if (plan is not null && !problems.Any && !request.PlanOnly) Outputs.Check(request.Output, plan.Allocated, problems);
        problems.ThrowIfAny();
        return plan!;
    }

    private static PlanInputs? Gather(BuildRequest request, DeployContent deploy, UserFiles user, Progress progress, Problems problems, CancellationToken cancel)
    {
        var board = request.Board;
        // Two cores are enough to have all files hashed by the time the root file system is read.
        var digests = Task.Run(() => Digests(deploy, user, cancel), cancel);
        var supervisor = user.Supervisor!.ReadAll();
        var program = ElfDynamic.Read(supervisor);
        var wanted = program is null ? [] : LibraryClosure.Wanted(program);
        var step = progress.Begin("read", deploy.Rootfs.Size);
        var scan = RootfsReader.Scan(deploy.Rootfs, deploy.RootfsType, board, wanted, step.At, problems, cancel);
        step.End();
        var modules = deploy.Modules is { } archive ? ModuleArchive.Scan(archive, deploy.KernelFacts.Version, problems) : null;
        var files = digests.GetAwaiter().GetResult();
        if (scan is not var (rootfs, rootfsDigest) || problems.Any) return null;

        modules = OwnModules(rootfs, deploy.KernelFacts.Version) ?? modules;
        var identity = Identity.From(board.Name, [.. files, ("rootfs", rootfsDigest)]);
        var time = request.SourceDateEpoch
            ?? (long.TryParse(deploy.TestData["REPRODUCIBLE_TIMESTAMP_ROOTFS"], NumberStyles.None, CultureInfo.InvariantCulture, out var stamp) ? stamp : DefaultTime);
        return new()
        {
            Board = board,
            Deploy = deploy,
            User = user,
            Rootfs = rootfs,
            Modules = modules,
            Initramfs = deploy.Initramfs is { } given ? new Source.FromFile(given) : (Source?)Initramfs(board, deploy, supervisor, program, rootfs, modules, time, problems),
            InterpreterLink = program is null ? null : LibraryClosure.InterpreterLink(program, rootfs),
            Identity = identity,
            Time = time,
            BuilderVersion = request.BuilderVersion,
        };
    }

    // The kernel does not always tell its version (a FIT does not); then the only modules there are decide.
    private static ModuleSet? OwnModules(RootfsFacts rootfs, string? version) =>
        (version ?? (rootfs.ModuleVersions is [var only] ? only : null)) is { } v ? ModuleSet.FromRootfs(rootfs, v) : null;

    private static Source.Made? Initramfs(
        Board board, DeployContent deploy, byte[] supervisor, ElfDynamic? program, RootfsFacts rootfs, ModuleSet? modules, long time, Problems problems)
    {
        if (modules is null || modules.Index.LoadOrder(board.InitramfsModules) is not { Count: > 0 } order) return null;
        var (libraries, missing) = program is null ? ([], null) : LibraryClosure.Of(program, rootfs);
        if (missing is not null)
        {
            problems.Add($"The supervisor needs {missing}, which the root file system {deploy.Rootfs.Name} does not have; build the image with glibc (TCLIBC) or give a supervisor made for its C library.");
            return null;
        }

        var entries = modules.InRootfs
            ? RootfsReader.Entries(deploy.Rootfs.Open(), deploy.RootfsType)
            : ModuleArchive.Read(deploy.Modules!);
        return new Source.Made(InitramfsMaker.Make(new()
        {
            Supervisor = supervisor,
            Libraries = libraries,
            KernelVersion = modules.Version,
            Modules = ModuleArchive.Take(entries, modules.Version, order),
            Name = $"{deploy.Image} for {board.Name}",
            Time = time,
        }));
    }

    /// <summary>Digests of everything that makes the system, but for the root file system, which is hashed while it is read.</summary>
    private static List<(string, byte[])> Digests(DeployContent deploy, UserFiles user, CancellationToken cancel)
    {
        var digests = new List<(string, byte[])>();
        foreach (var file in deploy.Files.Where(f => f != deploy.Rootfs).Append(user.Supervisor!).DistinctBy(f => f.Path))
        {
            cancel.ThrowIfCancellationRequested();
            using var content = file.Open();
            // The name in the role: two blobs that swap places make another image. A supervisor's path says nothing.
            digests.Add((file == user.Supervisor ? "supervisor" : "file " + file.Name, SHA256.HashData(content)));
        }

        return digests;
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
