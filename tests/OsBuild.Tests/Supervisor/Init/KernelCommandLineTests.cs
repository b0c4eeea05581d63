using OsBuild.Supervisor.Init;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class KernelCommandLineTests
{
    private static readonly KernelCommandLine Ours = new(
        "root=PARTUUID=3d5f-02 ro rootwait panic=10 console=tty0 console=ttyS0,115200 osbuild.slot=a dyndbg=\"file a.c +p\" quiet\n");

    [Fact]
    public void A_value_may_hold_an_equals_sign() => Assert.Equal("PARTUUID=3d5f-02", Ours["root"]);

    [Fact]
    public void The_last_value_of_a_key_wins_as_in_the_kernel() => Assert.Equal("ttyS0,115200", Ours["console"]);

    [Fact]
    public void All_values_of_a_key_can_be_asked_for() => Assert.Equal(["tty0", "ttyS0,115200"], Ours.All("console"));

    [Fact]
    public void Quotes_keep_blanks_together() => Assert.Equal("file a.c +p", Ours["dyndbg"]);

    [Theory]
    [InlineData("ro", true)]
    [InlineData("quiet", true)]
    [InlineData("root", false)]
    [InlineData("rw", false)]
    public void Bare_words_are_not_values(string word, bool there) => Assert.Equal(there, Ours.Has(word));

    [Theory]
    [InlineData("")]
    [InlineData("  \n")]
    [InlineData("\"")]
    [InlineData("a=\"never closed")]
    public void Odd_lines_do_no_harm(string line) => Assert.Null(new KernelCommandLine(line)["root"]);
}
