using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>Whatever happens to the files, there is an answer, and what was not touched is still known.</summary>
public sealed class JournalTests : IDisposable
{
    private readonly string directory = Path.Combine(Path.GetTempPath(), $"osb-journal-{Guid.NewGuid():N}");

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static Release Release(int n) => new() { App = "app", Commit = $"c{n}", Services = { ["web"] = new() { Name = "web", Image = $"web:{n}" } } };

    private void Fill(int from, int count)
    {
        using var journal = Journal.Open(directory);
        for (var i = from; i < from + count; i++)
        {
            journal.Append(new JournalEntry.TargetAccepted(new([Release(i)])), durable: false);
            journal.Append(new JournalEntry.ReleaseGood(Release(i) with { ImageIds = new() { ["web"] = $"sha256:{i}" } }), durable: false);
            journal.Append(new JournalEntry.ImageUsed($"sha256:{i}", $"web:{i}"), durable: false);
            if (i % 10 == 5) journal.Compact();
        }
    }

    private Memory Read()
    {
        using var journal = Journal.Open(directory);
        return journal.Memory;
    }

    [Fact]
    public void Keeps_what_was_appended()
    {
        Fill(0, 30);
        var memory = Read();
        Assert.Equal("c29", memory.Target!.Apps[0].Commit);
        Assert.Equal("c29", memory.Good["app"].Commit);
        Assert.Equal(30, memory.Images.Count);
        Fill(30, 1);
        Assert.Equal("c30", Read().Target!.Apps[0].Commit);
    }

    [Fact]
    public void S61_A_torn_last_line_costs_only_itself()
    {
        Fill(0, 3);
        var path = Path.Combine(directory, "journal");
        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..^20]);
        Assert.Equal("c2", Read().Good["app"].Commit);
        Assert.Equal(2, Read().Images.Count);
        Fill(3, 1);
        Assert.Equal("c3", Read().Target!.Apps[0].Commit);
    }

    [Fact]
    public void S61_A_broken_snapshot_is_made_up_for_by_the_one_before()
    {
        Fill(0, 28);
        var newest = new DirectoryInfo(directory).GetFiles("snapshot.*").OrderByDescending(f => f.LastWriteTimeUtc).First();
        File.WriteAllText(newest.FullName, "garbage");
        Assert.Equal(28, Read().Images.Count);
        Assert.Equal("c27", Read().Target!.Apps[0].Commit);
    }

    [Fact]
    public void S46_66_Entries_and_fields_of_a_later_version_are_left_out()
    {
        Fill(0, 2);
        using (var journal = Journal.Open(directory)) Assert.Empty(journal.Damage);
        File.AppendAllText(Path.Combine(directory, "journal"), Line(100, """{"is":"from-the-future","x":1}""") + Line(101, """{"is":"held","key":"app/web","stopped":true,"andMore":[1,2]}"""));
        using var later = Journal.Open(directory);
        Assert.Contains(later.Damage, d => d.Contains("another version"));
        Assert.Contains("app/web", later.Memory.Stopped);
    }

    private static string Line(long number, string json)
    {
        var crc = System.Numerics.BitOperations.Crc32C(uint.MaxValue, (ulong)number);
        foreach (var b in System.Text.Encoding.UTF8.GetBytes(json)) crc = System.Numerics.BitOperations.Crc32C(crc, b);
        return $"{number} {~crc:x8} {json}\n";
    }

    /// <summary>Ten thousand with OSBUILD_FUZZ=50. Apps run on whatever is left of the state: when the target is had again, nothing is stopped or removed.</summary>
    [Fact]
    public void S61_66_Any_damage_leaves_a_state_that_once_was_true_and_apps_running()
    {
        var runs = 200 * (int.TryParse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ"), out var factor) ? factor : 1);
        Fill(0, 17);
        var (empty, noTarget, noGood) = (0, 0, 0);
        var files = Directory.GetFiles(directory).ToDictionary(f => f, File.ReadAllBytes);
        var random = new Random(4);
        for (var run = 0; run < runs; run++)
        {
            foreach (var (path, content) in files) File.WriteAllBytes(path, content);
            for (var i = random.Next(1, 9); i > 0; i--)
            {
                var path = files.Keys.ElementAt(random.Next(files.Count));
                var bytes = File.Exists(path) ? File.ReadAllBytes(path) : [];
                switch (random.Next(5))
                {
                    case 0: File.WriteAllBytes(path, bytes[..random.Next(bytes.Length + 1)]); break;
                    case 1: File.Delete(path); break;
                    case 2: File.WriteAllBytes(path, []); break;
                    case 3 when bytes.Length > 0:
                        bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                        File.WriteAllBytes(path, bytes);
                        break;
                    default:
                        random.NextBytes(bytes.AsSpan(0, bytes.Length / 2));
                        File.WriteAllBytes(path, bytes);
                        break;
                }
            }

            var memory = Read();
            // Never a mixture within one release, never something that was not written.
            if (memory.Target is { } target) Assert.Equal($"web:{target.Apps[0].Commit[1..]}", target.Apps[0].Services["web"].Image);
            if (memory.Good.TryGetValue("app", out var good)) Assert.Equal($"sha256:{good.Commit[1..]}", good.ImageIds!["web"]);
            (noTarget, noGood) = (noTarget + (memory.Target is null ? 1 : 0), noGood + (memory.Good.Count == 0 ? 1 : 0));
            if (memory is { Target: null, Good.Count: 0, Images.Count: 0 }) empty++;
            AssertAppsRunOn(memory);
            using var journal = Journal.Open(directory);
            journal.Append(new JournalEntry.TargetAccepted(new([Release(99)])));
            Assert.Null(journal.WriteError);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{runs} damaged states: {noTarget} without a target, {noGood} without a good release, {empty} empty");
    }

    /// <summary>The device as the state before the damage left it: its last release runs, is known to the engine, and is the target once it is had again.</summary>
    private static void AssertAppsRunOn(Memory memory)
    {
        var release = Release(16);
        var container = new ContainerState { Id = "c", App = "app", Service = "web", Hash = release.Services["web"].Hash(), ImageId = "sha256:16", Name = "app-web", Status = ContainerStatus.Running, RunningFor = TimeSpan.FromMinutes(1), Starts = 1 };
        var current = new CurrentState { Containers = [container], Images = [.. Enumerable.Range(0, 17).Select(i => new ImageState($"sha256:{i}", [$"docker.io/library/web:{i}"]))], Memory = memory };
        var plan = Planner.NextSteps(current, new([release]), TimeSpan.FromMinutes(1));
        Assert.DoesNotContain(plan, s => s is Step.Stop or Step.Remove or Step.Create);
        Assert.DoesNotContain(plan, s => s is Step.RemoveImage { Id: "sha256:16" });
    }

    [Fact]
    public void S62_A_folder_that_cannot_be_written_is_told_and_memory_goes_on()
    {
        Directory.CreateDirectory(directory);
        var file = Path.Combine(directory, "not-a-folder");
        File.WriteAllText(file, "");
        using var journal = Journal.Open(Path.Combine(file, "state"));
        journal.Append(new JournalEntry.ServiceHeld("app/web", true));
        Assert.NotNull(journal.WriteError);
        Assert.Contains("app/web", journal.Memory.Stopped);
    }

    [Fact]
    public void S62_On_a_full_disk_every_entry_is_taken_and_on_disk_again_when_there_is_room()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("/dev/full is Linux's own");
        Directory.CreateDirectory(directory);
        var file = Path.Combine(directory, "journal");
        File.CreateSymbolicLink(file, "/dev/full");
        using (var journal = Journal.Open(directory))
        {
            foreach (var service in (string[])["a", "b", "c"])
            {
                journal.Append(new JournalEntry.ServiceHeld("app/" + service, true));
                Assert.Contains("No space left", journal.WriteError, StringComparison.Ordinal);
            }

            File.Delete(file);
            journal.Append(new JournalEntry.ServiceHeld("app/d", true));
            Assert.Null(journal.WriteError);
        }

        using var again = Journal.Open(directory);
        Assert.Equal(["app/a", "app/b", "app/c", "app/d"], again.Memory.Stopped);
    }
}
