using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Checks a whole file system: checksums, the maps of all files, that no block has two owners, that bitmaps, counts and links
/// say what is there. Nothing is repaired.</summary>
internal sealed class Ext4Check(Ext4Volume volume)
{
    private const int MostFindings = 100;

    private readonly List<string> _findings = [];
    private readonly UsedBlocks _blocks = new(volume);
    private readonly Dictionary<uint, Ext4Inode> _directories = [];
    private readonly Dictionary<uint, (ushort Stored, uint Counted, int Type)> _links = [];
    private readonly HashSet<long> _xattrBlocks = [];

    public IReadOnlyList<string> Run()
    {
        if (volume.Super.Has(ReadOnlyFeatures.BigAlloc)) return ["The file system counts in clusters (bigalloc), which is not checked here; use e2fsck."];
        Try(() => _blocks.MarkMetadata(Find));
        for (var group = 0; group < volume.Groups && _findings.Count < MostFindings; group++)
        {
            var at = group;
            Try(() => CheckInodes(at));
        }

        WalkDirectories();
        foreach (var (inode, links) in _links) CheckLinks(inode, links.Stored, links.Counted, links.Type);
        Try(CheckCounts);
        if (_findings.Count > MostFindings) _findings.RemoveRange(MostFindings, _findings.Count - MostFindings);
        if (_findings.Count == MostFindings) _findings.Add("There is more; the rest is not listed.");
        return _findings;
    }

    private void Find(string finding)
    {
        if (_findings.Count <= MostFindings) _findings.Add(finding);
    }

    private void Try(Action check)
    {
        try
        {
            check();
        }
        catch (ImageException error)
        {
            Find(error.Message);
        }
    }

    private void CheckInodes(int group)
    {
        var descriptor = volume.Descriptor(group, out var sound);
        if (!sound) Find($"The descriptor of group {group} has a wrong checksum.");
        var count = (int)volume.Super.InodesPerGroup;
        var uninit = (descriptor.Flags & GroupFlags.InodeUninit) != 0 && HasGroupFlags;
        var bitmap = uninit ? [] : volume.Block(descriptor.InodeBitmap).ToArray();
        if (!uninit && volume.HasSums && !SumMatches(Crc32C.Add(volume.Seed, bitmap.AsSpan(0, count / 8)), descriptor.InodeBitmapSum))
            Find($"The inode bitmap of group {group} has a wrong checksum.");
        var unused = HasGroupFlags ? Math.Min(descriptor.UnusedInodes, (uint)count) : 0;
        uint free = 0, directories = 0;
        for (var index = 0; index < count; index++)
        {
            var number = (uint)((group * (long)count) + index + 1);
            var marked = !uninit && Bits.IsSet(bitmap, index);
            if (!marked) free++;
            if (!marked && (uninit || index >= count - unused)) continue;
            Try(() => directories += CheckInode(number, marked));
        }

        if (free != descriptor.FreeInodes) Find($"Group {group} counts {descriptor.FreeInodes} free inodes and has {free}.");
        if (directories != descriptor.Directories) Find($"Group {group} counts {descriptor.Directories} directories and has {directories}.");
    }

    private bool HasGroupFlags => volume.HasSums || volume.Super.Has(ReadOnlyFeatures.GdtCsum);

    // With descriptors of 32 bytes only the lower half of a sum is kept.
    private bool SumMatches(uint sum, uint stored) => volume.DescriptorSize >= GroupDescriptor.Size ? sum == stored : (sum & 0xFFFF) == stored;

    private uint CheckInode(uint number, bool marked)
    {
        var inode = volume.RawInode(number);
        var view = inode.View;
        var used = view.Links > 0 && view.Mode != 0;
        if (volume.HasSums && !inode.IsSound(volume.Seed)) Find($"Inode {number} has a wrong checksum.");
        if (!used)
        {
            if (marked && number >= volume.Super.FirstInode && !IsOwnInode(number)) Find($"Inode {number} is marked as used and is not.");
            return 0;
        }

        if (!marked) Find($"Inode {number} is used and not marked.");
        _links[number] = (view.Links, 0, inode.Type);
        if (number == SpecialInode.Resize)
        {
            _blocks.MarkResizeInode(inode, Find);
            return 0;
        }

        MarkContent(inode);
        if (inode.Type != FileType.Directory) return 0;
        _directories[number] = inode;
        return 1;
    }

    private void MarkContent(Ext4Inode inode)
    {
        var view = inode.View;
        long blocks = 0;
        if (view.XattrBlock != 0)
        {
            blocks++;
            if (_xattrBlocks.Add(view.XattrBlock)) _blocks.Mark(view.XattrBlock, 1, inode.Number, Find);
            XattrReader.Read(volume, inode);
        }

        var inBlocks = inode.Type is FileType.File or FileType.Directory || (inode.Type == FileType.Symlink && (inode.Length >= InodeView.BlockSize || view.Flags.HasFlag(InodeFlags.Extents)));
        if (inBlocks && (view.Flags & InodeFlags.InlineData) == 0)
        {
            var map = FileMap.Of(volume, inode);
            foreach (var run in map.Runs) _blocks.Mark(run.Physical, run.Count, inode.Number, Find);
            foreach (var node in map.Nodes) _blocks.Mark(node, 1, inode.Number, Find);
            blocks += map.Runs.Sum(run => run.Count) + map.Nodes.Count;
        }

        var unit = (view.Flags & InodeFlags.HugeFile) != 0 ? 1 : volume.BlockSize / 512;
        if (view.Sectors != blocks * unit && (view.Flags & InodeFlags.EaInode) == 0) Find($"Inode {inode.Number} counts {view.Sectors} sectors and has {blocks * unit}.");
    }

    private void WalkDirectories()
    {
        var reader = new DirectoryReader(volume);
        if (!_directories.ContainsKey(SpecialInode.Root))
        {
            Find("There is no root directory.");
            return;
        }

        var waiting = new Stack<(uint Inode, uint Parent)>([(SpecialInode.Root, SpecialInode.Root)]);
        var seen = new HashSet<uint> { SpecialInode.Root };
        while (waiting.TryPop(out var next) && _findings.Count < MostFindings)
        {
            if (!_directories.TryGetValue(next.Inode, out var directory)) continue; // what is wrong with it was found before
            Try(() =>
            {
                var entries = reader.Read(directory, FileMap.Of(volume, directory), out var parent);
                if (parent != next.Parent) Find($"The directory with inode {next.Inode} says that inode {parent} is above it; it is {next.Parent}.");
                Count(next.Inode);
                Count(parent);
                CheckEntries(next.Inode, entries, child =>
                {
                    if (seen.Add(child)) waiting.Push((child, next.Inode));
                    else Find($"The directory with inode {child} has more than one name.");
                });
            });
        }

        foreach (var lost in _directories.Keys.Where(inode => !seen.Contains(inode) && !IsOwnInode(inode))) Find($"The directory with inode {lost} is not in the tree.");
    }

    private void CheckEntries(uint directory, List<NamedInode> entries, Action<uint> enter)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (!names.Add(entry.Name)) Find($"The directory with inode {directory} has the name {entry.Name} twice.");
            if (!_links.TryGetValue(entry.Inode, out var target))
            {
                Find($"The name {entry.Name} in the directory with inode {directory} leads to inode {entry.Inode}, which is not used.");
                continue;
            }

            if (entry.Type != 0 && entry.Type != FileType.InDirectory(target.Type)) Find($"The name {entry.Name} in the directory with inode {directory} has the wrong type.");
            if (target.Type == FileType.Directory) enter(entry.Inode);
            if (target.Type != FileType.Directory) Count(entry.Inode);
        }
    }

    // A directory is counted by its own entry "." and by ".." of those below; the name in its parent stands for one more.
    private void Count(uint inode)
    {
        if (_links.TryGetValue(inode, out var links)) _links[inode] = links with { Counted = links.Counted + 1 };
    }

    private void CheckLinks(uint inode, ushort stored, uint counted, int type)
    {
        if (IsOwnInode(inode)) return;
        if (type == FileType.Directory)
        {
            // The root's ".." leads to itself, which stands for the name it does not have.
            if (inode != SpecialInode.Root) counted++;
            if (stored == 1 && volume.Super.Has(ReadOnlyFeatures.DirNlink)) return;
        }

        if (stored != counted) Find($"Inode {inode} counts {stored} names and has {counted}.");
    }

    /// <summary>Inodes that belong to the file system itself and have no names.</summary>
    private bool IsOwnInode(uint inode) =>
        (inode < volume.Super.FirstInode && inode != SpecialInode.Root)
        || (volume.Super.Has(CompatibleFeatures.OrphanFile) && inode == volume.Super.OrphanFileInode);

    private void CheckCounts()
    {
        long freeBlocks = 0, freeInodes = 0;
        for (var group = 0; group < volume.Groups && _findings.Count < MostFindings; group++)
        {
            var descriptor = volume.Descriptor(group, out _);
            freeInodes += descriptor.FreeInodes;
            freeBlocks += descriptor.FreeBlocks;
            var used = _blocks.Used(group);
            if (volume.BlocksIn(group) - used != descriptor.FreeBlocks) Find($"Group {group} counts {descriptor.FreeBlocks} free blocks and has {volume.BlocksIn(group) - used}.");
            if ((descriptor.Flags & GroupFlags.BlockUninit) != 0 && HasGroupFlags) continue;
            var bitmap = volume.Block(descriptor.BlockBitmap);
            if (volume.HasSums && !SumMatches(Crc32C.Add(volume.Seed, bitmap[..((int)volume.Super.BlocksPerGroup / 8)]), descriptor.BlockBitmapSum))
                Find($"The block bitmap of group {group} has a wrong checksum.");
            if (!_blocks.Matches(group, bitmap)) Find($"The block bitmap of group {group} does not say what is used.");
        }

        if (freeBlocks != volume.Super.FreeBlocks) Find($"The superblock counts {volume.Super.FreeBlocks} free blocks and there are {freeBlocks}.");
        if (freeInodes != volume.Super.FreeInodes) Find($"The superblock counts {volume.Super.FreeInodes} free inodes and there are {freeInodes}.");
    }
}
