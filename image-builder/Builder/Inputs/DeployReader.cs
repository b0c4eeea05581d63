using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Reads a deploy directory for a board: finds every artifact, looks at every header, collects every problem.</summary>
internal static class DeployReader
{
    /// <summary>Null when something is missing that nothing can be planned without; the problems say what.</summary>
    public static DeployContent? Read(string directory, Board board, string? image, Problems problems)
    {
        if (DeployListing.Read(directory, problems) is not { } listing) return null;
        var search = new ArtifactSearch(listing, board, problems);
        var rootfs = search.Rootfs(image);
        var machine = rootfs?.Name.Machine ?? board.Machines[0];
        var testData = TestDataOf(rootfs?.Name, search, problems);
        CheckBuild(testData, board, problems);

        var rootfsFile = rootfs is { } r ? InputFile.From(r.Entry, problems) : null;
        if (rootfsFile is not null && !ArchiveEnds.Check(rootfsFile, rootfs!.Value.Name.Type, problems)) rootfsFile = null;
        var kernel = search.Kernel(machine) is { } k ? InputFile.From(k, problems) : null;
        var kernelFacts = kernel is null ? null : KernelFile.Inspect(kernel, board, problems);
        var modules = search.Modules(machine) is { } m ? InputFile.From(m, problems) : null;
        var loader = Loader(search, board, problems);
        var (yoctos, notes) = ImageBootFiles.Find(testData, listing, problems);
        var content = new Func<DeployContent>(() => new()
        {
            Directory = directory,
            Image = rootfs!.Value.Name.Image,
            Machine = machine,
            Rootfs = rootfsFile!,
            RootfsType = rootfs.Value.Name.Type,
            TestData = testData,
            Packages = search.Sibling(rootfs.Value.Name, "manifest") is { } manifest && InputFile.From(manifest, problems) is { } file ? BuildRecords.Manifest(file, problems) : [],
            Kernel = kernel!,
            KernelFacts = kernelFacts!,
            Modules = modules,
            Initramfs = Single(search, board.Artifacts.Initramfs, "The initramfs", problems),
            Microcode = Single(search, board.Artifacts.Microcode, "The microcode", problems),
            Loader = loader,
            DeviceTrees = Trees(search, board.Artifacts.DeviceTrees, "The device tree", problems),
            Overlays = Trees(search, board.Artifacts.Overlays, "The device tree overlay", problems),
            BootFiles = BootFiles(search, board, problems),
            YoctoBootFiles = yoctos,
            Notes = [.. notes, .. new WksReader(listing, testData).Read(rootfs.Value.Name.Image, problems) is var (name, wks) ? WksHints.Notes(name, wks, board) : []],
            Blobs = Blobs(search, board, problems),
        });
        if (rootfsFile is not null && kernelFacts is not null) return content();
        // Nothing can be planned, but what else is wrong is still told.
        _ = Trees(search, board.Artifacts.DeviceTrees, "The device tree", problems);
        _ = BootFiles(search, board, problems);
        _ = Blobs(search, board, problems);
        return null;
    }

    private static TestData TestDataOf(YoctoName? rootfs, ArtifactSearch search, Problems problems)
    {
        if (rootfs is null || search.Sibling(rootfs, "testdata.json") is not { } entry || InputFile.From(entry, problems) is not { } file) return TestData.None;
        return BuildRecords.Variables(file, problems) ?? TestData.None;
    }

    // What bitbake says of the build must agree with the board: a directory can be renamed, its variables are not.
    private static void CheckBuild(TestData data, Board board, Problems problems)
    {
        if (data["MACHINE"] is { } machine && !board.Machines.Contains(machine))
            problems.Add($"The image was built for MACHINE {machine}, but board {board.Name} takes {string.Join(", ", board.Machines)}; give another board or directory.");
        var wanted = board.Arch == BoardArch.X8664 ? "x86_64" : "aarch64";
        if (data["TARGET_ARCH"] is { } arch && arch != wanted)
        {
            var bits = arch is "arm" or "i586" or "i686" or "riscv32" or "mips" or "powerpc" ? "a 32-bit build" : "a build";
            problems.Add($"The image is {bits} (TARGET_ARCH {arch}), but board {board.Name} is {wanted}; set a 64-bit tune for the machine and build again.");
        }
    }

    private static PlacedFile? Loader(ArtifactSearch search, Board board, Problems problems)
    {
        if (board.Boot.LoaderFile is not { } loader) return null;
        if (search.One(new Artifact(loader.Files), "The boot loader") is not { } entry || InputFile.From(entry, problems) is not { } file) return null;
        if (board.Boot.Flow == BootFlow.Uefi && !HeaderChecks.EfiProgram(file, MachineCode.Of(board.Arch), problems)) return null;
        return new(file, loader.Dest.TrimStart('/'));
    }

    private static InputFile? Single(ArtifactSearch search, Artifact? artifact, string what, Problems problems) =>
        artifact is not null && search.One(artifact, what) is { } entry ? InputFile.From(entry, problems) : null;

    private static List<PlacedFile> Trees(ArtifactSearch search, IReadOnlyList<TreeArtifact> artifacts, string what, Problems problems)
    {
        var placed = new List<PlacedFile>();
        foreach (var artifact in artifacts)
        {
            foreach (var entry in search.All(artifact, what))
                if (InputFile.From(entry, problems) is { } file && HeaderChecks.DeviceTree(file, problems))
                    placed.Add(new(file, Join(artifact.Dest, BaseName(entry.Name))));
        }

        return placed;
    }

    private static List<PlacedFile> BootFiles(ArtifactSearch search, Board board, Problems problems)
    {
        var placed = new List<PlacedFile>();
        foreach (var wanted in board.BootFiles)
        {
            foreach (var entry in search.All(new Artifact([wanted.Source], wanted.Optional), "The boot file"))
            {
                if (InputFile.From(entry, problems) is not { } file) continue;
                var toFolder = wanted.Dest.EndsWith('/') || wanted.Dest.Length == 0 || DeployListing.IsGlob(wanted.Source);
                placed.Add(new(file, toFolder ? Join(wanted.Dest, BaseName(entry.Name)) : wanted.Dest.TrimStart('/')));
            }
        }

        return placed;
    }

    private static List<PlacedBlob> Blobs(ArtifactSearch search, Board board, Problems problems)
    {
        var placed = new List<PlacedBlob>();
        foreach (var blob in board.Firmware)
        {
            if (search.One(new Artifact(blob.Files, blob.Optional || blob.Variant is not null), "The firmware") is not { } entry) continue;
            if (InputFile.From(entry, problems) is not { } file) continue;
            if (blob.MaxSize is { } max && file.Size > max + (blob.Place is BlobPlace.AtOffset at ? at.Skip : 0))
            {
                problems.Add($"The firmware {file.Name} has {file.Size} bytes, its place on board {board.Name} has {max}, short by {file.Size - max}; take the firmware built for this board.");
                continue;
            }

            placed.Add(new(file, blob));
        }

        foreach (var variants in placed.Where(b => b.Blob.Variant is not null).GroupBy(b => b.Blob.Place).Where(g => g.Count() > 1))
        {
            problems.Add($"The firmware for one place is there in several variants ({string.Join(", ", variants.Select(v => $"{v.File.Name} for {v.Blob.Variant}"))}); leave the one of your silicon in the deploy directory.");
        }

        return placed;
    }

    private static string Join(string folder, string name) => folder.Trim('/') is { Length: > 0 } path ? $"{path}/{name}" : name;

    private static string BaseName(string name) => name[(name.LastIndexOf('/') + 1)..];
}
