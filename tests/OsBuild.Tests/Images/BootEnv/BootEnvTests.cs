using System.Text;
using OsBuild.Images;
using OsBuild.Images.BootEnv;

namespace OsBuild.Tests.Images.BootEnv;

public sealed class BootEnvTests
{
    private static readonly Dictionary<string, string> Slots = new() { ["slot"] = "b", ["tries"] = "3", ["odd"] = "back\\slash, line\nend, = and # and ü", ["empty"] = "" };

    [Fact]
    public void Grub_reads_back_what_it_wrote()
    {
        var block = GrubEnvironment.Write(Slots);
        Assert.Equal(1024, block.Length);
        Assert.StartsWith("# GRUB Environment Block\nempty=\nodd=", Encoding.UTF8.GetString(block));
        Assert.Equal(Slots.OrderBy(s => s.Key, StringComparer.Ordinal), GrubEnvironment.Read(block));
        Assert.Empty(GrubEnvironment.Read(GrubEnvironment.Write(new Dictionary<string, string>())));
    }

    [Fact]
    public void Grub_skips_comments()
    {
        var block = Encoding.ASCII.GetBytes("# GRUB Environment Block\n# WARNING: Do not edit\na=1\nno equals sign\n".PadRight(1024, '#'));
        Assert.Equal("1", Assert.Single(GrubEnvironment.Read(block)).Value);
    }

    [Fact]
    public void Grub_refuses_what_is_no_block_or_does_not_fit()
    {
        Assert.Throws<ImageException>(() => GrubEnvironment.Read(new byte[1024]));
        Assert.Throws<ImageException>(() => GrubEnvironment.Read(GrubEnvironment.Write(Slots).AsSpan(0, 1000)));
        Assert.Contains("1 more than", Assert.Throws<ImageException>(() => GrubEnvironment.Write(new Dictionary<string, string> { ["a"] = new string('x', 997) })).Message);
        Assert.Equal(1024, GrubEnvironment.Write(new Dictionary<string, string> { ["a"] = new string('x', 996) }).Length);
        foreach (var name in new[] { "", "#a", "a=b", "a\nb", "a\0" })
            Assert.Throws<ImageException>(() => GrubEnvironment.Write(new Dictionary<string, string> { [name] = "" }));
    }

    [Theory]
    [InlineData(8192)]
    [InlineData(100)]
    public void UBoot_reads_back_what_it_wrote(int size)
    {
        var block = UBootEnvironment.Write(Slots, size);
        Assert.Equal(size, block.Length);
        Assert.Equal(Slots.OrderBy(s => s.Key, StringComparer.Ordinal), UBootEnvironment.Read(block));
        for (var i = 0; i < size; i++)
        {
            var torn = block.ToArray();
            torn[i] ^= 0x10;
            Assert.Throws<ImageException>(() => UBootEnvironment.Read(torn));
        }
    }

    [Fact]
    public void UBoot_refuses_what_does_not_fit()
    {
        Assert.Contains("1 more than", Assert.Throws<ImageException>(() => UBootEnvironment.Write(new Dictionary<string, string> { ["a"] = new string('x', 10) }, 4 + 13)).Message);
        Assert.Equal(4 + 14, UBootEnvironment.Write(new Dictionary<string, string> { ["a"] = new string('x', 10) }, 4 + 14).Length);
        Assert.Throws<ImageException>(() => UBootEnvironment.Write(new Dictionary<string, string> { ["a=b"] = "" }, 100));
        Assert.Throws<ImageException>(() => UBootEnvironment.Write(new Dictionary<string, string> { ["a"] = "\0" }, 100));
        Assert.Throws<ImageException>(() => UBootEnvironment.Read(new byte[8192]));
        Assert.Throws<ImageException>(() => UBootEnvironment.Read([]));
    }

    [Fact]
    public void Of_two_copies_the_later_counts_around_the_whole_circle_and_a_torn_write_keeps_the_old_one()
    {
        byte[][] copies = [new byte[512], new byte[512]];
        Assert.Throws<ImageException>(() => UBootEnvironment.ReadRedundant(copies[0], copies[1]));
        for (var turn = 0; turn < 600; turn++)
        {
            var (copy, block) = UBootEnvironment.WriteRedundant(copies[0], copies[1], new Dictionary<string, string> { ["turn"] = $"{turn}" });
            if (turn > 0)
            {
                byte[][] torn = [[.. copies[0]], [.. copies[1]]];
                block.AsSpan(0, 8).CopyTo(torn[copy]);
                torn[copy][20] ^= 1;
                Assert.Equal($"{turn - 1}", UBootEnvironment.ReadRedundant(torn[0], torn[1]).Variables["turn"]);
            }

            copies[copy] = block;
            var read = UBootEnvironment.ReadRedundant(copies[0], copies[1]);
            Assert.Equal(($"{turn}", copy), (read.Variables["turn"], read.Copy));
        }
    }
}
