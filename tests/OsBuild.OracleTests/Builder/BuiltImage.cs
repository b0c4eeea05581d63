using System.Text.Json;
using OsBuild.OracleTests.Images;

namespace OsBuild.OracleTests.Builder;

/// <summary>An image made by the program as people run it, with its companions.</summary>
internal sealed record BuiltImage(string Path)
{
    /// <summary>The program under test: the one built beside the tests, or the published one named by OSBUILD_IMAGE_BUILDER.</summary>
    public static string Program => Environment.GetEnvironmentVariable("OSBUILD_IMAGE_BUILDER") ?? System.IO.Path.Combine(AppContext.BaseDirectory, "image-builder");

    public static BuiltImage Build(string output, params string[] arguments)
    {
        Directory.CreateDirectory(output);
        Judge.Run(Program, ["build", .. arguments, "--output", output]).MustPass("image-builder build");
        return new(Directory.EnumerateFiles(output, "*.img").Single());
    }

    public long Size => new FileInfo(Path).Length;

    /// <summary>Where the partitions are, by what the image's description says.</summary>
    public IReadOnlyList<(int Number, string Name, long Offset, long Size)> Partitions
    {
        get
        {
            using var json = JsonDocument.Parse(File.ReadAllText(Path + ".json"));
            return [.. json.RootElement.GetProperty("partitions").EnumerateArray().Select(p =>
                (p.GetProperty("number").GetInt32(), p.GetProperty("name").GetString()!, p.GetProperty("offset").GetInt64(), p.GetProperty("size").GetInt64()))];
        }
    }

    /// <summary>Where they are, by sfdisk: number, offset, size; extended containers left out.</summary>
    public IReadOnlyList<(int Number, long Offset, long Size)> BySfdisk()
    {
        using var json = JsonDocument.Parse(Judge.Run("sfdisk", "--json", Path).MustPass("sfdisk --json").Output);
        return [.. json.RootElement.GetProperty("partitiontable").GetProperty("partitions").EnumerateArray()
            .Where(p => p.GetProperty("type").GetString() is not ("5" or "f"))
            .Select(p => (int.Parse(p.GetProperty("node").GetString()![Path.Length..].TrimStart('p')), p.GetProperty("start").GetInt64() * 512, p.GetProperty("size").GetInt64() * 512))];
    }

    /// <summary>e2fsck and fsck.fat have nothing to say about any file system in it.</summary>
    public void FileSystemsMustPass(TempFolder folder)
    {
        foreach (var (_, name, offset, size) in Partitions)
        {
            if (name == "root-b") continue;
            if (name != "boot")
            {
                Judge.Run("e2fsck", "-fn", $"{Path}?offset={offset}").MustPass($"e2fsck of {name}");
                continue;
            }

            Judge.Run("dd", $"if={Path}", $"of={folder["boot"]}", "bs=1M", "iflag=skip_bytes,count_bytes", $"skip={offset}", $"count={size}", "conv=sparse", "status=none").MustPass("dd");
            Judge.Run("fsck.fat", "-n", folder["boot"]).MustPass("fsck.fat");
        }
    }

    /// <summary>A partition mounted read-only by the kernel, through the offsets of its description.</summary>
    public LoopMount Mount(string name)
    {
        var (_, _, offset, size) = Partitions.Single(p => p.Name == name);
        return new(Path, $"ro,offset={offset},sizelimit={size}");
    }

    /// <summary>A file of the boot partition, got out by mtools: not every kernel has vfat.</summary>
    public string BootFile(string path, TempFolder folder)
    {
        Judge.Run("mcopy", "-n", "-i", $"{Path}@@{Partitions.Single(p => p.Name == "boot").Offset}", "::" + path, folder["boot-file"]).MustPass("mcopy");
        return folder["boot-file"];
    }

    public byte[] Bytes(long offset, int length)
    {
        var bytes = new byte[length];
        using var file = File.OpenRead(Path);
        file.Position = offset;
        file.ReadExactly(bytes);
        return bytes;
    }
}
