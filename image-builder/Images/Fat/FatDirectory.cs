using System.Text;

namespace OsBuild.Images.Fat;

/// <summary>An entry of a directory with its place.</summary>
/// <param name="Name">Long name, or the short one as it is shown.</param>
/// <param name="Entry">The short entry.</param>
/// <param name="FirstSlot">Slot of the first piece of its long name, or of the entry itself.</param>
/// <param name="Slot">Slot of the entry.</param>
internal sealed record FatEntry(string Name, DirectoryEntry Entry, int FirstSlot, int Slot)
{
    public bool IsDot => Entry.ShortName is { } s && s[0] == '.' && s.TrimEnd(' ') is "." or "..";
}

/// <summary>The slots of a directory as they were read.</summary>
internal sealed class FatDirectory(FatGeometry g, uint firstCluster, IReadOnlyList<ClusterRun> runs, byte[] bytes)
{
    private const int SlotSize = 32;

    /// <summary>First cluster, or 0 for the root of FAT12 and FAT16.</summary>
    public uint FirstCluster => firstCluster;

    public IReadOnlyList<ClusterRun> Runs => runs;

    public int SlotCount => bytes.Length / SlotSize;

    public ReadOnlySpan<byte> Slot(int index) => bytes.AsSpan(index * SlotSize, SlotSize);

    public bool IsFree(int slot) => bytes[slot * SlotSize] is 0 or DirectoryEntry.Deleted;

    /// <summary>The slot that ends the directory, or <see cref="SlotCount"/> when it is full.</summary>
    public int End
    {
        get
        {
            for (var i = 0; i < SlotCount; i++)
                if (bytes[i * SlotSize] == 0) return i;
            return SlotCount;
        }
    }

    /// <summary>Where a slot stands on the volume.</summary>
    public long OffsetOf(int slot)
    {
        var at = (long)slot * SlotSize;
        if (runs.Count == 0) return g.RootOffset + at;
        foreach (var run in runs)
        {
            var length = (long)run.Count * g.ClusterSize;
            if (at < length) return g.ClusterOffset(run.First) + at;
            at -= length;
        }

        throw new ArgumentOutOfRangeException(nameof(slot));
    }

    /// <summary>The entry of that name in any case; shown names go before the short ones behind them.</summary>
    public FatEntry? Find(string name)
    {
        var entries = Entries().Where(e => !e.IsDot).ToList();
        return entries.FirstOrDefault(e => e.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            ?? entries.FirstOrDefault(e => FatNames.Shown(e.Entry).Equals(name, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Files and directories, "." and ".." included, labels not.</summary>
    /// <param name="orphans">Called for each slot of a long name that belongs to no entry.</param>
    public IEnumerable<FatEntry> Entries(Action<int>? orphans = null)
    {
        var pieces = new List<LongNameEntry>();
        var end = End;
        for (var i = 0; i < end; i++)
        {
            var slot = Slot(i);
            var attributes = (FatAttributes)slot[0x0B];
            if (slot[0] != DirectoryEntry.Deleted && (attributes & FatAttributes.LongName) == FatAttributes.LongName)
            {
                var piece = LongNameEntry.Read(slot);
                if (Fits(pieces, piece))
                {
                    pieces.Add(piece);
                    continue;
                }

                Drop(i);
                if ((piece.Order & LongNameEntry.Last) != 0) pieces.Add(piece);
                else orphans?.Invoke(i);
                continue;
            }

            if (slot[0] == DirectoryEntry.Deleted || DirectoryEntry.Read(slot).IsLabel)
            {
                Drop(i);
                continue;
            }

            var entry = DirectoryEntry.Read(slot);
            var name = LongName(pieces, entry);
            var first = name is null ? i : i - pieces.Count;
            if (name is null) Drop(i);
            pieces.Clear();
            yield return new FatEntry(name ?? FatNames.Shown(entry), entry, first, i);
        }

        Drop(end);

        void Drop(int before)
        {
            for (var i = before - pieces.Count; i < before; i++) orphans?.Invoke(i);
            pieces.Clear();
        }
    }

    /// <summary>The label entry of a root directory.</summary>
    public DirectoryEntry? Label()
    {
        var end = End;
        for (var i = 0; i < end; i++)
        {
            var e = DirectoryEntry.Read(Slot(i));
            if (!IsFree(i) && e.IsLabel && (e.Attributes & FatAttributes.LongName) != FatAttributes.LongName) return e;
        }

        return null;
    }

    private static bool Fits(List<LongNameEntry> pieces, LongNameEntry piece)
    {
        var order = piece.Order & ~LongNameEntry.Last;
        if (order is 0 or > 20) return false;
        return pieces.Count == 0
            ? (piece.Order & LongNameEntry.Last) != 0
            : piece.Order == (pieces[^1].Order & ~LongNameEntry.Last) - 1 && piece.Checksum == pieces[^1].Checksum;
    }

    private static string? LongName(List<LongNameEntry> pieces, DirectoryEntry entry)
    {
        if (pieces.Count == 0 || (pieces[^1].Order & ~LongNameEntry.Last) != 1 || pieces[0].Checksum != FatNames.Checksum(entry.ShortName!)) return null;
        var text = new StringBuilder();
        for (var i = pieces.Count - 1; i >= 0; i--) text.Append(pieces[i].Text);
        var name = text.ToString();
        var end = name.IndexOf('\0');
        if (end >= 0) name = name[..end];
        // A name with a slash could climb out of a folder it is extracted to.
        return name.Length is 0 or > 255 || name is "." or ".." || name.Contains('/') || name.Contains('\\') ? null : name;
    }
}
