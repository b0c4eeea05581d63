using OsBuild.Flasher.Drives;
using OsBuild.Images;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Writing;

/// <summary>What a person asked for.</summary>
internal sealed record FlashRequest
{
    /// <summary>Path of the image, for telling that it lies on a target.</summary>
    public required string ImagePath { get; init; }

    public required CopySource Source { get; init; }

    public required IReadOnlyList<string> Targets { get; init; }

    /// <summary>Serial or model of the one system disk that may be overwritten.</summary>
    public string? AllowSystemDisk { get; init; }

    public bool Eject { get; init; }

    public CopyOptions Options { get; init; } = new();
}

/// <summary>A target that has been judged fit: a disk, or an ordinary file.</summary>
internal sealed record JudgedTarget(string Name, Disk? Disk, Verdict? Verdict);

/// <summary>Judges the targets, holds them, copies, lets go. The steps in their order; every refusal comes before the first byte.</summary>
internal static class FlashSession
{
    /// <summary>Judges every target; all must pass.</summary>
    /// <exception cref="RefusedException">One is refused.</exception>
    public static IReadOnlyList<JudgedTarget> Judge(FlashRequest request, SystemFacts facts)
    {
        if (request.Targets.Count == 0) throw new RefusedException("Name a target with --to; flasher list shows them.");
        var judged = request.Targets.Select(t => JudgeOne(t, request, facts)).ToList();
        var twice = judged.GroupBy(j => j.Disk?.Node ?? Path.GetFullPath(j.Name)).FirstOrDefault(g => g.Count() > 1);
        return twice is null ? judged : throw new RefusedException($"{twice.First().Name} is named twice; nothing was written.");
    }

    private static JudgedTarget JudgeOne(string target, FlashRequest request, SystemFacts facts)
    {
        if (Targets.Resolve(target, facts) is { } disk)
        {
            var verdict = Drives.Judge.Verdict(disk, facts);
            if (!verdict.Ok && !Allowed(disk, verdict, request.AllowSystemDisk)) throw new RefusedException(Refusal(disk, verdict));
            if (!verdict.Ok) verdict = verdict with { Unmount = verdict.Mounted };
            if (request.Source.Length is { } length && RoundUp(length, disk.SectorSize) > disk.Size)
                throw new RefusedException($"The image ({new ByteSize(length)}, {length} bytes) is larger than {disk.Device} ({disk.Size} bytes); take a larger drive. Nothing was written.");
            return new JudgedTarget(disk.Device, disk, verdict);
        }

        return JudgeFile(target, request, facts);
    }

    private static JudgedTarget JudgeFile(string target, FlashRequest request, SystemFacts facts)
    {
        if (Directory.Exists(target)) throw new RefusedException($"{target} is a folder; name a drive. Nothing was written.");
        if (!File.Exists(target)) throw new RefusedException($"There is no drive {target}; flasher list shows those that are there. (A file may be a target too, but must exist.)");
        if (!Targets.IsOrdinaryFile(target)) throw new RefusedException($"{target} is neither a drive nor an ordinary file; nothing was written.");
        var identity = Targets.FileIdentity(target);
        if (identity == Targets.FileIdentity(request.ImagePath)) throw new RefusedException($"{target} is the image itself; nothing was written.");
        var node = facts.Nodes.FirstOrDefault(n => n.Kind == NodeKind.File && n.Name == "file:" + identity);
        if (node is not null) throw new RefusedException($"{target} is in use as {string.Join(", ", facts.Nodes.Where(n => n.On.Contains(node.Name)).Select(n => n.Name).DefaultIfEmpty("swap space"))}; write to that instead.");
        var size = new FileInfo(target).Length;
        if (size > 0 && request.Source.Length > size) throw new RefusedException($"The image ({request.Source.Length} bytes) is larger than {target} ({size} bytes). Nothing was written.");
        return new JudgedTarget(target, null, null);
    }

    private static bool Allowed(Disk disk, Verdict verdict, string? id) =>
        id is not null && verdict.MayAllow && id.Length > 0 && (id == disk.Serial || id == disk.Model);

    private static string Refusal(Disk disk, Verdict verdict)
    {
        var why = string.Join("; ", verdict.Why());
        var how = verdict.MayAllow && (disk.Serial.Length > 0 || disk.Model.Length > 0)
            ? $" Only --allow-system-disk \"{(disk.Serial.Length > 0 ? disk.Serial : disk.Model)}\" overrides this."
            : "";
        return $"{disk.Device} is refused: {why}. Nothing was written.{how}";
    }

    private static long RoundUp(long length, int sector) => (length + sector - 1) / sector * sector;

    /// <summary>Judges again, unmounts, holds every target and copies. Targets that were fit at the first look may not be now.</summary>
    public static IReadOnlyList<CopyOutcome> Run(
        FlashRequest request, IReadOnlyList<JudgedTarget> before, Func<SystemFacts> gather, TimeProvider time, Action<CopyEvent> report, CancellationToken stop)
    {
        var facts = gather();
        var now = Judge(request, facts);
        for (var i = 0; i < now.Count; i++) MustBeSame(before[i], now[i]);
        List<IMedium> media = [];
        try
        {
            foreach (var target in now) media.Add(Targets.Open(target, RoundUp(request.Source.Length ?? long.MaxValue - 4096, 512), facts));
            var outcomes = ImageCopier.Copy(request.Source, media, request.Options, time, report, stop);
            for (var i = 0; i < media.Count; i++)
                if (outcomes[i].Result == CopyResult.Done) Targets.Finish(media[i], request.Eject);
            return outcomes;
        }
        finally
        {
            foreach (var medium in media) medium.Dispose();
        }
    }

    private static void MustBeSame(JudgedTarget before, JudgedTarget now)
    {
        if (before.Disk is not { } a || now.Disk is not { } b) return;
        if (a.Number != b.Number || a.Size != b.Size || a.Serial != b.Serial || a.Wwid != b.Wwid || a.Sequence != b.Sequence || a.Model != b.Model)
            throw new RefusedException($"{a.Device} is not the disk that was chosen: it was swapped in between. Nothing was written; look at the list again.");
    }
}
