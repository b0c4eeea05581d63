using OsBuild.Flasher.Commands;
using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

public sealed class ElevationTests
{
    private static readonly string[] Command = ["/opt/flasher", "write", "it's \"mine\".img"];

    [Theory]
    [InlineData(true, true, "sudo doas pkexec", "sudo")]
    [InlineData(true, false, "doas pkexec", "doas")]
    [InlineData(true, true, "pkexec", "pkexec")]
    [InlineData(false, true, "sudo pkexec", "pkexec")]
    [InlineData(false, true, "sudo", null)]
    [InlineData(false, false, "sudo pkexec", null)]
    [InlineData(true, true, "", null)]
    public void Linux_takes_what_can_ask_here(bool terminal, bool desktop, string there, string? tool)
    {
        var way = Elevation.Plan(SystemKind.Linux, terminal, desktop, t => there.Split(' ').Contains(t), Command);
        Assert.Equal(tool, way?.Tool);
        if (way is not null) Assert.Equal(Command, way.Arguments);
    }

    [Fact]
    public void A_Mac_asks_in_the_terminal_or_in_a_window()
    {
        Assert.Equal("sudo", Elevation.Plan(SystemKind.MacOs, true, false, _ => true, Command)!.Tool);
        var window = Elevation.Plan(SystemKind.MacOs, false, false, _ => true, Command)!;
        Assert.Equal("osascript", window.Tool);
        Assert.Equal("""do shell script "'/opt/flasher' 'write' 'it'\\''s \"mine\".img'" with administrator privileges""", window.Arguments[1]);
    }

    [Fact]
    public void Windows_opens_a_window_that_stays_until_the_result_was_read()
    {
        var way = Elevation.Plan(SystemKind.Windows, true, true, _ => false, ["C:\\flasher.exe", "list"])!;
        Assert.Equal(("cmd.exe", "\"C:\\flasher.exe\" \"list\" & pause"), (way.Tool, way.Arguments[1]));
    }
}
