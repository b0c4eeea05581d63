using OsBuild.Images;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>Blobs, U-Boot's environment and the tables: nothing may lie on anything else.</summary>
internal static class BoardFirmwareChecks
{
    /// <summary>Disk signature and table of the MBR; the bytes before them are boot code that a blob may have.</summary>
    private static readonly ByteRange MbrTable = new(440, 72);

    private static readonly string[] PlaceKeys = ["offset", "partition", "path"], OffsetKeys = ["skip", "length", "preserve"];

    private const long GptEntriesSize = 128 * 128;

    /// <summary>Bytes of the disk that something needs, with its name for a person and its path in the file.</summary>
    private sealed record Claim(string Name, string Path, ByteRange Range, IReadOnlyList<ByteRange> Spared, string? Variant = null, string? Advice = null);

    public static void Check(Board board, Findings findings)
    {
        for (var i = 0; i < board.Firmware.Count; i++) CheckBlob(board, i, findings);
        CheckEnvironment(board, findings);
        CheckVariants(board, findings);
        CheckOverlaps(board, findings);
        CheckEnds(board, findings);
        var bringsLoader = board.Firmware.Count > 0 || board.ExternalFirmware is not null || board.BootFiles.Count > 0;
        if (!bringsLoader)
            findings.Add("boot.flow", $"nothing brings the firmware that flow {Words.Flow.Of(board.Boot.Flow)} begins with", "list it in `firmware` or `boot_files`, or say in `external_firmware` where it is");
    }

    private static void CheckBlob(Board board, int index, Findings findings)
    {
        var (blob, path) = (board.Firmware[index], $"firmware[{index}]");
        var name = blob.Files[0];
        var places = PlaceKeys.Where(k => findings.Has($"{path}.{k}")).ToList();
        if (places.Count != 1)
        {
            findings.Add(path, places.Count == 0 ? $"{name} goes nowhere" : $"{name} goes to {string.Join(" and ", places)} at once", "give it one of `offset`, `partition`, `path`");
            return;
        }

        foreach (var key in OffsetKeys.Where(k => blob.Place is not BlobPlace.AtOffset && findings.Has($"{path}.{k}")))
            findings.Add($"{path}.{key}", $"`{key}` only has a meaning beside `offset`", "remove it");
        switch (blob.Place)
        {
            case BlobPlace.AtOffset at:
                if (blob.Extent is null)
                    findings.Add(path, $"{name} has neither `max_size` nor `length`, so nothing can tell what it may overwrite", "give it the `max_size` that its boot loader allows");
                foreach (var range in at.Preserve.Where(r => r.Length <= 0 || (blob.Extent is { } extent && !extent.Overlaps(r))))
                    findings.Add(path + ".preserve", $"{name} does not reach {Bytes(range)}", "`from` is the first byte that is kept, `to` the first after it; both within the blob");
                break;
            case BlobPlace.InPartition place when board.Partition(place.Partition) is not { } partition:
                findings.Add(path + ".partition", $"there is no partition {place.Partition} for {name}", Suggest(place.Partition, board));
                break;
            case BlobPlace.InPartition { Partition: var wanted }:
                var target = board.Partition(wanted)!;
                if (target.Role != PartitionRole.Reserved)
                    findings.Add(path + ".partition", $"{name} would overwrite the {Words.Role.Of(target.Role)} partition", "give it a partition with the role reserved");
                if (blob.MaxSize > target.Size)
                    findings.Add(path + ".max_size", $"{name} may take {new ByteSize(blob.MaxSize.Value)}, but partition {wanted} has {new ByteSize(target.Size)}", "enlarge the partition");
                if (board.Table.Kind == TableKind.Mbr)
                    findings.Add(path + ".partition", $"the boot ROM finds {name} by the name or type of its partition, and an MBR has neither", "make the table gpt");
                break;
        }
    }

    private static string Suggest(string name, Board board) => Nearest.To(name, board.Partitions.Select(p => p.Name)) is { } nearest
        ? $"perhaps {nearest} was meant"
        : "add it to `partitions` with the role reserved";

    private static void CheckEnvironment(Board board, Findings findings)
    {
        if (board.Boot.Environment is not { } env) return;
        if (env.Where == EnvironmentHome.Mmc && (env.Offset is null || env.Size is null))
            findings.Add("boot.environment", "an environment on the medium needs a place", "give it `offset` and `size` (CONFIG_ENV_OFFSET, CONFIG_ENV_SIZE)");
        if (env.Where is EnvironmentHome.Nowhere or EnvironmentHome.Fat && env.Offset is not null)
            findings.Add("boot.environment.offset", $"an environment kept `{Words.EnvironmentHome.Of(env.Where)}` has no offset", "remove it, or make `where` mmc");
        if (board.Boot.Flow != BootFlow.UBoot)
            findings.Add("boot.environment", $"flow {Words.Flow.Of(board.Boot.Flow)} has no U-Boot environment", "remove `environment`, or make the flow u-boot");
    }

    private static void CheckVariants(Board board, Findings findings)
    {
        var indexed = board.Firmware.Select((blob, i) => (Blob: blob, Path: $"firmware[{i}]"));
        foreach (var place in indexed.GroupBy(b => Where(b.Blob.Place)))
        {
            var blobs = place.ToList();
            if (blobs.Count == 1)
            {
                if (blobs[0].Blob.Variant is { } only)
                    findings.Add(blobs[0].Path + ".variant", $"variant {only} has no other beside it", "list the other variants, or remove `variant`");
                continue;
            }

            if (blobs.Exists(b => b.Blob.Variant is null))
                findings.Add(blobs[^1].Path, $"{blobs.Count} blobs go to {place.Key}", "give each a `variant`, or keep one; names of one blob go into one list");
            else if (blobs.Select(b => b.Blob.Variant).Distinct().Count() < blobs.Count)
                findings.Add(blobs[^1].Path + ".variant", $"two blobs for {place.Key} have the same variant", "give each variant its own name");
        }
    }

    private static string Where(BlobPlace place) => place switch
    {
        BlobPlace.AtOffset at => $"byte {at.Offset}",
        BlobPlace.InPartition p => $"partition {p.Partition}",
        BlobPlace.InBootFile f => f.Path.Trim('/').ToLowerInvariant(),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static void CheckOverlaps(Board board, Findings findings)
    {
        List<Claim> claims = [.. Tables(board.Table), .. Blobs(board), .. Environments(board), .. FixedPartitions(board)];
        for (var i = 0; i < claims.Count; i++)
        {
            for (var j = i + 1; j < claims.Count; j++)
            {
                var (a, b) = (claims[i], claims[j]);
                if (a.Variant is not null && b.Variant is not null && a.Range.Offset == b.Range.Offset) continue;
                if (!Collide(a, b)) continue;
                var advice = a.Advice ?? "move one, or lower `max_size`";
                findings.Add(b.Path, $"{b.Name} ({Bytes(b.Range)}) lies on {a.Name} ({Bytes(a.Range)})", advice);
            }
        }
    }

    /// <summary>A reserved partition may hold a blob or the environment, when it holds all of it: that is what it is reserved for.</summary>
    private static bool Collide(Claim a, Claim b)
    {
        if (!a.Range.Overlaps(b.Range)) return false;
        if (b.Path.StartsWith("partitions", StringComparison.Ordinal) && !a.Path.StartsWith("partition", StringComparison.Ordinal)
            && b.Range.Contains(a.Range)) return false;
        var common = new ByteRange(Math.Max(a.Range.Offset, b.Range.Offset), Math.Min(a.Range.End, b.Range.End) - Math.Max(a.Range.Offset, b.Range.Offset));
        return !a.Spared.Concat(b.Spared).Any(s => s.Contains(common));
    }

    private static string Bytes(ByteRange range) => $"bytes {range.Offset}..{range.Offset + range.Length - 1}";

    private static IEnumerable<Claim> Tables(TableForm table)
    {
        yield return new("the table in the first sector", "partition_table.type", MbrTable, [], Advice: "use `skip`, `length` or `preserve` so that bytes 440 to 511 stay");
        if (table.Kind == TableKind.Mbr) yield break;
        var entries = table.EntriesLba * table.SectorSize;
        yield return new("the GPT header", "partition_table.type", new(table.SectorSize, table.SectorSize), [], Advice: "make the table mbr: the header has no other place");
        yield return new("the GPT entries", "partition_table.entries_lba", new(entries, GptEntriesSize), [], Advice: "make the table mbr, or move the entries with `entries_lba`");
    }

    private static IEnumerable<Claim> Blobs(Board board)
    {
        for (var i = 0; i < board.Firmware.Count; i++)
        {
            var blob = board.Firmware[i];
            if (blob is { Extent: { } extent, Place: BlobPlace.AtOffset at } && board.Places.ContainsKey($"firmware[{i}].offset"))
                yield return new(blob.Files[0], $"firmware[{i}]", extent, at.Preserve, blob.Variant);
        }
    }

    private static IEnumerable<Claim> Environments(Board board)
    {
        var ranges = board.Boot.Environment?.Ranges ?? [];
        for (var i = 0; i < ranges.Count; i++)
            yield return new(i == 0 ? "U-Boot's environment" : "the second copy of U-Boot's environment", i == 0 ? "boot.environment.offset" : "boot.environment.redundant_offset", ranges[i], []);
    }

    private static IEnumerable<Claim> FixedPartitions(Board board)
    {
        for (var i = 0; i < board.Partitions.Count; i++)
        {
            var p = board.Partitions[i];
            if (p.Offset is { } offset) yield return new($"partition {p.Name}", $"partitions[{i}].offset", new(offset, p.Size), []);
        }
    }

    /// <summary>What is raw must end before the first partition that has no fixed place.</summary>
    private static void CheckEnds(Board board, Findings findings)
    {
        var first = Math.Max(board.Table.FirstOffset, board.Table.Alignment);
        foreach (var claim in Tables(board.Table).Concat(Blobs(board)).Concat(Environments(board)).Where(c => c.Range.End > first))
        {
            var housed = FixedPartitions(board).Any(p => p.Range.Contains(claim.Range));
            if (!housed)
                findings.Add(claim.Path, $"{claim.Name} may end at {new ByteSize(claim.Range.End)}, past the first partition at {new ByteSize(first)}", "raise `first_offset`, or lower `max_size`");
        }

        for (var i = 0; i < board.Partitions.Count; i++)
            if (board.Partitions[i] is { Offset: { } offset, Role: not PartitionRole.Reserved } p && offset < board.Table.FirstOffset)
                findings.Add($"partitions[{i}].offset", $"partition {p.Name} starts before `first_offset`", "only reserved partitions may lie there");
    }
}
