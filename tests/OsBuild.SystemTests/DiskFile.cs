using OsBuild.Images.Ext4;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;

namespace OsBuild.SystemTests;

/// <summary>A machine's disk while the machine is off.</summary>
internal sealed class DiskFile(string path)
{
    private static readonly string[] Order = ["boot", "root-a", "root-b", "state", "data"];

    public string Path => path;

    /// <summary>A partition as the table has it now. An MBR has no names: there the order counts.</summary>
    public PartitionEntry Partition(string name)
    {
        var table = Table();
        return table.Kind == TableKind.Mbr ? table.Partitions[Array.IndexOf(Order, name)] : table.Partitions.Single(p => p.Name == name);
    }

    private PartitionTable Table()
    {
        using var stream = File.OpenRead(path);
        return PartitionTable.Read(stream)!;
    }

    private bool IsSquashFs(PartitionEntry partition)
    {
        using var file = File.OpenRead(path);
        file.Position = partition.Offset;
        var magic = new byte[4];
        file.ReadExactly(magic);
        return magic.AsSpan().SequenceEqual("hsqs"u8);
    }

    /// <summary>A file of an ext4 partition.</summary>
    public string Read(string partition, string file)
    {
        var entry = Partition(partition);
        using var stream = File.OpenRead(path);
        using var reader = new StreamReader(new Ext4Reader(new SubStream(stream, entry.Offset, entry.Size)).Open(file));
        return reader.ReadToEnd().Trim();
    }

    /// <summary>Table, file systems and record say that the machine was shut down well: nothing to replay, nothing to mend.</summary>
    public void MustBeClean()
    {
        if (Table().Kind == TableKind.Mbr) Judge.Run("sfdisk", "--verify", path).MustPass("sfdisk --verify");
        else Judge.Run("sgdisk", "-v", path).MustPass("sgdisk -v");
        foreach (var name in new[] { "root-a", "state", "data" })
        {
            if (IsSquashFs(Partition(name))) continue; // never written to
            var at = $"{path}?offset={Partition(name).Offset}";
            Assert.DoesNotContain("needs_recovery", Judge.Run("dumpe2fs", "-h", at).MustPass("dumpe2fs").Output, StringComparison.Ordinal);
            Judge.Run("e2fsck", "-fn", at).MustPass($"e2fsck of {name}");
        }

        var (boot, copy) = (Partition("boot"), path + ".boot");
        Judge.Run("dd", $"if={path}", $"of={copy}", "bs=1M", "iflag=skip_bytes,count_bytes", $"skip={boot.Offset}", $"count={boot.Size}", "conv=sparse", "status=none").MustPass("dd");
        Judge.Run("fsck.fat", "-n", copy).MustPass("fsck.fat of boot");
        File.Delete(copy);
        Assert.StartsWith("clean ", Read("state", "last-run"), StringComparison.Ordinal);
    }
}
