using System.Security.Cryptography;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Tests.Supervisor.SelfUpdate;

/// <summary>The record on disk: whatever happens to the files, the answer is one that was once true, at worst none.</summary>
public sealed class UpdateStoreTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("osbuild-update-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private UpdateStore Store => new(new HostPaths(folder, Path.Combine(folder, "state"), Path.Combine(folder, "data"), folder, ""));

    private string Copy(char which) => Path.Combine(folder, "state", "supervisor", $"update.{which}");

    private static UpdateRecord Record(int n) => new() { Good = new($"{n:x64}", $"{n}", $"supervisor:{n}", "r"), Tries = n, Bad = [new(new("", "", $"bad:{n}", "r"), "it is no ELF program")] };

    [Fact]
    public void Nothing_is_known_at_first() => Assert.Equal((null, null, 0), Store.Load() is var r ? (r.Good, r.Trial, r.Tries) : default);

    [Fact]
    public void The_last_record_counts()
    {
        for (var i = 1; i <= 5; i++)
        {
            Store.Save(Record(i));
            Assert.Equal(i, Store.Load().Tries);
            Assert.Equal($"bad:{i}", Store.Load().Bad.Single().Build.Image);
        }
    }

    [Fact]
    public void S77_A_copy_that_is_torn_leaves_the_one_before()
    {
        Store.Save(Record(1));
        Store.Save(Record(2));
        File.WriteAllBytes(Copy('b'), File.ReadAllBytes(Copy('b'))[..^9]);
        Assert.Equal(1, Store.Load().Tries);
        Store.Save(Record(3));
        Assert.Equal(3, Store.Load().Tries);
        Assert.Equal(1, File.Exists(Copy('a')) ? 1 : 0);
    }

    [Fact]
    public void S77_Any_damage_leaves_a_record_that_was_once_true_or_none()
    {
        var random = new Random(7576);
        Store.Save(Record(1));
        Store.Save(Record(2));
        var whole = "ab".ToDictionary(which => which, which => File.ReadAllBytes(Copy(which)));
        for (var run = 0; run < 3000; run++)
        {
            foreach (var which in "ab")
            {
                var bytes = whole[which].ToArray();
                switch (random.Next(5))
                {
                    case 0: bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8)); break;
                    case 1: bytes = bytes[..random.Next(bytes.Length)]; break;
                    case 2: random.NextBytes(bytes.AsSpan(random.Next(bytes.Length))); break;
                    case 3: bytes = new byte[bytes.Length]; break;
                    default: break;
                }

                File.WriteAllBytes(Copy(which), bytes);
            }

            Assert.Contains(Store.Load().Tries, (int[])[0, 1, 2]);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("1 00000000 {}")]
    [InlineData("99999999999999999999 00000000 {}")]
    [InlineData("{\"good\":null}")]
    public void What_is_no_record_is_none(string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Copy('a'))!);
        File.WriteAllText(Copy('a'), text);
        Assert.Null(Store.Load().Good);
    }

    [Fact]
    public void What_a_later_version_wrote_into_it_is_left_out()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Copy('a'))!);
        File.WriteAllBytes(Copy('a'), OsBuild.Supervisor.State.Journal.Line(4, "{\"tries\":2,\"flags\":{\"new\":true}}"u8.ToArray()));
        Assert.Equal(2, Store.Load().Tries);
    }

    [Fact]
    public void A_name_that_was_given_stays_until_it_is_taken_back()
    {
        Assert.Null(Store.Named.Value);
        Store.Named.Value = ("supervisor:2", "now");
        Assert.Equal(("supervisor:2", "now"), Store.Named.Value);
        Store.Named.Value = null;
        Assert.Null(Store.Named.Value);
    }

    [Fact]
    public void S76_A_program_is_read_whole_before_it_is_started()
    {
        var bytes = new byte[100_000];
        Random.Shared.NextBytes(bytes);
        var build = new WorkerBuild(Convert.ToHexStringLower(SHA256.HashData(bytes)), "2", "supervisor:2", "r");
        Assert.StartsWith("its file cannot be read", Store.Fault(build), StringComparison.Ordinal);
        Directory.CreateDirectory(Store.Programs);
        File.WriteAllBytes(Store.ProgramOf(build), bytes);
        Assert.Null(Store.Fault(build));
        bytes[77_777] ^= 1;
        File.WriteAllBytes(Store.ProgramOf(build), bytes);
        Assert.Equal("its file is damaged", Store.Fault(build));
        File.WriteAllBytes(Store.ProgramOf(build), bytes[..50_000]);
        Assert.Equal("its file is damaged", Store.Fault(build));
    }

    [Fact]
    public void Programs_that_nobody_names_are_removed()
    {
        Directory.CreateDirectory(Store.Programs);
        var record = new UpdateRecord { Good = new("good", "", "", ""), Trial = new("trial", "", "", "") };
        foreach (var name in (string[])["good", "trial", "old", "fetched"]) File.WriteAllText(Path.Combine(Store.Programs, name), name);
        Store.Prune(record);
        Assert.Equal(["good", "trial"], Directory.EnumerateFiles(Store.Programs).Select(Path.GetFileName).Order());
    }
}
