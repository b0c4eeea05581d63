using System.Numerics;

namespace OsBuild.Images.Partitions;

/// <summary>What a disk specification must obey before any place is worked out.</summary>
internal static class DiskRules
{
    public static void Check(DiskSpec spec)
    {
        if (spec.SectorSize is not (512 or 4096)) throw Refuse($"Sectors of {spec.SectorSize} bytes are not supported; use 512 or 4096");
        if (spec.Alignment < spec.SectorSize || !BitOperations.IsPow2(spec.Alignment) || spec.Alignment > 1L << 30)
            throw Refuse($"The alignment of {spec.Alignment} bytes must be a power of two from one sector to 1 GiB");
        if (spec.FirstOffset < 0 || spec.MinimumSize < 0) throw Refuse("The first offset and the minimum size must not be negative");
        if (spec.Table != TableKind.Mbr && spec.GptEntriesLba is < 2 or > uint.MaxValue)
            throw Refuse($"The GPT entries cannot start at sector {spec.GptEntriesLba}: sectors 0 and 1 hold the MBR and the header");
        var most = spec.Table == TableKind.Mbr ? 3 + MbrTable.MaxLogical : GptTable.EntryCount;
        if (spec.Partitions.Count > most) throw Refuse($"{spec.Partitions.Count} partitions do not fit: the table holds {most}");
        foreach (var p in spec.Partitions) CheckPartition(spec, p);
        RefuseTwins(spec);
        foreach (var inside in spec.Blobs.Select(b => b.Inside).Concat(spec.Reserved.Select(r => r.Inside)))
            if (inside is not null && spec.Partitions.All(p => p.Name != inside)) throw Refuse($"There is no partition {inside} to put something inside");
        foreach (var r in spec.Reserved)
            if (r.Range.Offset < 0 || r.Range.Length <= 0) throw Refuse($"{r.Name} reserves bytes {r.Range}, which is no range");
    }

    private static void CheckPartition(DiskSpec spec, PartitionSpec p)
    {
        if (p.Name.Length is 0 or > GptEntry.NameUnits || p.Name.Contains('\0'))
            throw Refuse($"The partition name '{p.Name}' has {p.Name.Length} characters; 1 to {GptEntry.NameUnits} are possible");
        if (p.Size is <= 0 or > long.MaxValue / 4) throw Refuse($"Partition {p.Name} has a size of {p.Size} bytes");
        if (p.Offset is { } o && (o <= 0 || o % spec.SectorSize != 0 || o > long.MaxValue / 4))
            throw Refuse($"Partition {p.Name} cannot start at byte {o}: it must be a positive multiple of {spec.SectorSize}");
        if (spec.Table != TableKind.Mbr && (p.Type == Guid.Empty || p.Id == Guid.Empty))
            throw Refuse($"Partition {p.Name} needs a type and an id that are not all zeros");
        if (spec.Table == TableKind.Mbr && p.MbrType is 0 or MbrEntry.ExtendedChs or MbrEntry.ExtendedLba or MbrEntry.ExtendedLinux)
            throw Refuse($"Partition {p.Name} needs an MBR type that is not 0x{p.MbrType:x2}");
        if (p.MbrType == MbrEntry.Protective) throw Refuse($"Partition {p.Name} cannot have the MBR type 0xee: it marks a GPT disk");
    }

    private static void RefuseTwins(DiskSpec spec)
    {
        var twin = spec.Partitions.GroupBy(p => p.Name).FirstOrDefault(g => g.Count() > 1);
        if (twin is not null) throw Refuse($"Two partitions are named {twin.Key}; give each its own name");
        var active = spec.Partitions.Where(p => p.Active).Select(p => p.Name).ToList();
        if (active.Count > 1 && spec.Table != TableKind.Gpt) throw Refuse($"Partitions {active[0]} and {active[1]} are both active; only one can be");
        if (spec.Table == TableKind.Mbr) return;
        var id = spec.Partitions.GroupBy(p => p.Id).FirstOrDefault(g => g.Count() > 1);
        if (id is not null) throw Refuse($"Partitions {id.First().Name} and {id.Last().Name} have the same id {id.Key}; give each its own");
        if (spec.Table != TableKind.Hybrid) return;
        var inMbr = spec.Partitions.Count(p => p.MbrType != 0);
        if (inMbr is 0 or > 3)
            throw Refuse($"A hybrid table names 1 to 3 partitions in its MBR, but {inMbr} have an MBR type");
    }

    private static ImageException Refuse(string what) => new(ImageErrorKind.Unsupported, what + ".");
}
