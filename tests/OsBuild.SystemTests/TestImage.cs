using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;

namespace OsBuild.SystemTests;

/// <summary>The image under test: built once per run by the published image-builder from the reference deploy directory, with the demo app.</summary>
internal static class TestImage
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, string> Built = [];

    /// <summary>A fresh copy on a disk larger than the image, as a card is.</summary>
    public static string Copy(Board board, string directory, long diskSize = 2L << 30)
    {
        var copy = Path.Combine(directory, "disk.img");
        Judge.Run("cp", "--sparse=always", Build(board), copy).MustPass("cp");
        using var file = new FileStream(copy, FileMode.Open, FileAccess.Write);
        file.SetLength(diskSize);
        return copy;
    }

    /// <summary>Where a partition is on a disk now.</summary>
    public static PartitionEntry Partition(string disk, string name)
    {
        using var stream = File.OpenRead(disk);
        var table = PartitionTable.Read(stream);
        Assert.NotNull(table);
        return table.Partitions.Single(p => p.Name == name);
    }

    /// <summary>Copies a partition out of a disk, for the judges.</summary>
    public static string Extract(string disk, string name)
    {
        var partition = Partition(disk, name);
        var path = $"{disk}.{name}";
        Judge.Run("dd", $"if={disk}", $"of={path}", "bs=1M", "iflag=skip_bytes,count_bytes", $"skip={partition.Offset}", $"count={partition.Size}", "conv=sparse", "status=none").MustPass("dd");
        return path;
    }

    /// <summary>A file of a partition as the supervisor left it.</summary>
    public static string Read(string disk, string partition, string path) =>
        Judge.Run("debugfs", "-R", $"cat {path}", Extract(disk, partition)).Output.Split('\n').Last(l => l.Length > 0 && !l.StartsWith("debugfs ", StringComparison.Ordinal));

    private static string Build(Board board)
    {
        lock (Gate)
        {
            if (Built.TryGetValue(board.Name, out var done)) return done;
            var top = Top();
            var work = Environment.GetEnvironmentVariable("OSBUILD_WORK") ?? Path.Combine(top, "work");
            string builder = Path.Combine(top, "dist/linux-x64/image-builder"), supervisor = Path.Combine(top, $"dist/{board.Runtime}/supervisor");
            string deploy = Path.Combine(work, "deploy", board.Name), demo = Path.Combine(work, "demo", board.DebianArchitecture);
            foreach (var needed in new[] { builder, supervisor, Path.Combine(demo, "compose.yaml") })
                if (!File.Exists(needed)) Missing(needed);
            if (!Directory.Exists(deploy)) Missing(deploy);
            var output = Directory.CreateDirectory(Path.Combine(work, "system-tests", board.Name)).FullName;
            Judge.Run(builder, "build", board.Name, "--deploy", deploy, "--output", output, "--supervisor", supervisor,
                "--compose", Path.Combine(demo, "compose.yaml"), "--load", Path.Combine(demo, "demo.tar")).MustPass("image-builder build");
            return Built[board.Name] = Directory.EnumerateFiles(output, "*.img").Single();
        }
    }

    private static void Missing(string path)
    {
        Assert.True(Environment.GetEnvironmentVariable("CI") != "true", $"{path} is missing; ./build.sh test system makes it.");
        Assert.Skip($"{path} is missing; ./build.sh test system makes it.");
    }

    private static string Top()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
            if (File.Exists(Path.Combine(directory.FullName, "OsBuild.sln"))) return directory.FullName;
        throw new DirectoryNotFoundException("These tests run from a checkout of the repository.");
    }
}
