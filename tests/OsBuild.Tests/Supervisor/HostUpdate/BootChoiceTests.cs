using System.Text;
using OsBuild.Images.BootEnv;
using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

public sealed class BootChoiceTests
{
    [Theory]
    [InlineData("slot=a\nupgrade_available=0\nbootcount=0\n", "a", false, 0)]
    [InlineData("bootcount=2\nslot=b\nupgrade_available=1\n\0", "b", true, 2)] // as U-Boot exports it
    [InlineData("slot=b\r\nupgrade_available=1\r\nbootcount=a\r\n\n\n", "b", true, 10)] // setexpr counts in hexadecimal
    public void Reads_what_the_scripts_write(string text, string slot, bool trial, int count) =>
        Assert.Equal(new BootChoice(slot, trial, count), BootChoice.Read(Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void GRUB_s_block_has_its_size_and_reads_back()
    {
        for (var count = 0; count < 40; count++)
        {
            var choice = new BootChoice(count % 2 == 0 ? "a" : "b", count % 3 == 0, count);
            var block = choice.Write(grub: true, 1024);
            Assert.Equal(choice, BootChoice.Read(block));
            Assert.Equal(choice.Slot, GrubEnvironment.Read(block)["slot"]);
            Assert.All(block.AsSpan(512).ToArray(), b => Assert.Equal((byte)'#', b)); // all that counts is in one sector
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(39)]
    [InlineData(40)]
    [InlineData(200)]
    [InlineData(5000)]
    public void U_Boot_s_text_is_as_long_as_what_it_takes_the_place_of(int length)
    {
        var choice = new BootChoice("b", true, 1);
        var bytes = choice.Write(grub: false, length);
        Assert.Equal(choice, BootChoice.Read(bytes));
        Assert.Equal(Math.Clamp(length, 39, 512), bytes.Length);
    }

    [Fact]
    public void Any_bytes_are_a_choice_or_none()
    {
        var random = new Random(87);
        var whole = new BootChoice("b", true, 2).Write(grub: true, 1024);
        for (var run = 0; run < 20_000; run++)
        {
            var bytes = run % 3 == 0 ? new byte[random.Next(2000)] : whole.ToArray();
            if (run % 3 == 0) random.NextBytes(bytes);
            else for (var i = random.Next(1, 5); i > 0; i--) bytes[random.Next(100)] ^= (byte)(1 << random.Next(8));
            if (BootChoice.Read(bytes) is { } choice) Assert.True(choice is { Slot: "a" or "b", Count: >= 0 and < 1000 });
        }
    }
}
