using OsBuild.Flasher.Choosing;
using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

/// <summary>The chooser as a fold over keys and drives.</summary>
public sealed class ChooserTests
{
    private static Choice Drive(string name, string? refused = null, long size = 32L << 30, long sequence = 1, string? warning = null) => new(
        new Disk { Device = "/dev/" + name, Node = name, Size = size, Model = "Model " + name, Transport = "usb", Sequence = sequence },
        new Verdict { Reasons = refused is null ? [] : [new Reason(refused, false)], Warnings = warning is null ? [] : [warning] }, 1L << 30);

    private static Chooser Start(params Choice[] drives) => new Chooser { Image = "a.img" }.Seen(drives);

    private static Chooser Press(Chooser state, params object[] keys)
    {
        foreach (var key in keys)
        {
            foreach (var one in key is string text ? [.. text.Select(c => (object)c)] : new[] { key })
                state = state.On(one is ConsoleKey named ? new ConsoleKeyInfo('\0', named, false, false, false) : new ConsoleKeyInfo((char)one, (char)one == ' ' ? ConsoleKey.Spacebar : 0, false, false, false));
        }

        return state;
    }

    private static string Screen(Chooser state, int width = 100) => string.Join('\n', ChooserView.Lines(state, width));

    [Fact]
    public void Arrows_move_over_the_fit_drives_only_and_stop_at_the_ends()
    {
        var state = Start(Drive("sda", refused: "mounted at /"), Drive("sdb"), Drive("sdc", refused: "used as swap space"), Drive("sdd"));
        Assert.Equal("sdb", Assert.Single(state.Chosen).ShortName);
        state = Press(state, ConsoleKey.DownArrow);
        Assert.Equal("sdd", Assert.Single(state.Chosen).ShortName);
        state = Press(state, ConsoleKey.DownArrow, ConsoleKey.DownArrow);
        Assert.Equal("sdd", Assert.Single(state.Chosen).ShortName);
        state = Press(state, ConsoleKey.UpArrow, ConsoleKey.UpArrow, ConsoleKey.UpArrow);
        Assert.Equal("sdb", Assert.Single(state.Chosen).ShortName);
        Assert.Equal("sdd", Assert.Single(Press(state, ConsoleKey.End).Chosen).ShortName);
    }

    [Fact]
    public void Nothing_is_written_before_the_word_is_typed()
    {
        var state = Press(Start(Drive("sdb")), ConsoleKey.Enter);
        Assert.Equal(ChooserStage.Confirming, state.Stage);
        Assert.Equal(ChooserStage.Confirming, Press(state, ConsoleKey.Enter).Stage);
        Assert.Equal(ChooserStage.Confirming, Press(state, "sda", ConsoleKey.Enter).Stage);
        Assert.Contains("not sdb", Press(state, "sda", ConsoleKey.Enter).Note, StringComparison.Ordinal);
        Assert.Equal(ChooserStage.Confirmed, Press(state, "sdx", ConsoleKey.Backspace, "b", ConsoleKey.Enter).Stage);
        Assert.Equal(ChooserStage.Choosing, Press(state, "sdb", ConsoleKey.Escape).Stage);
    }

    [Fact]
    public void Several_marked_drives_are_confirmed_by_their_number()
    {
        var state = Press(Start(Drive("sdb"), Drive("sdc"), Drive("sdd")), ' ', ConsoleKey.DownArrow, ConsoleKey.DownArrow, ' ', ConsoleKey.Enter);
        Assert.Equal(["sdb", "sdd"], state.Chosen.Select(c => c.ShortName));
        Assert.Equal("all 2", state.Word);
        Assert.Equal(ChooserStage.Confirmed, Press(state, "all 2", ConsoleKey.Enter).Stage);
        Assert.Equal(["sdb"], Press(Press(state, ConsoleKey.Escape), ' ').Chosen.Select(c => c.ShortName));
    }

    [Fact]
    public void Refused_and_too_small_drives_cannot_be_chosen_and_say_why()
    {
        var state = Start(Drive("sda", refused: "mounted at /"), Drive("sdb", size: 1 << 20));
        Assert.Empty(state.Chosen);
        Assert.Equal(ChooserStage.Choosing, Press(state, ' ', ConsoleKey.Enter).Stage);
        var screen = Screen(state);
        Assert.Contains("mounted at /", screen, StringComparison.Ordinal);
        Assert.Contains("too small: the image has 1 GiB", screen, StringComparison.Ordinal);
        Assert.Contains("Put a card or stick in", screen, StringComparison.Ordinal);
    }

    [Fact]
    public void Drives_come_and_go_while_one_looks()
    {
        var state = Start();
        state = state.Seen([Drive("sdb")]);
        Assert.Equal("sdb", Assert.Single(state.Chosen).ShortName);
        state = Press(state.Seen([Drive("sdb"), Drive("sdc")]), ConsoleKey.DownArrow, ' ').Seen([Drive("sdb")]);
        Assert.Empty(state.Marked);
        Assert.Equal("sdb", Assert.Single(state.Chosen).ShortName);
        Assert.Null(state.Seen([]).Cursor);
    }

    [Fact]
    public void A_drive_swapped_while_the_word_is_typed_takes_the_question_back()
    {
        var state = Press(Start(Drive("sdb", sequence: 1)), ConsoleKey.Enter, "sd");
        var swapped = state.Seen([Drive("sdb", sequence: 2)]);
        Assert.Equal(ChooserStage.Choosing, swapped.Stage);
        Assert.Contains("choose again", swapped.Note, StringComparison.Ordinal);
        Assert.Equal(ChooserStage.Choosing, state.Seen([Drive("sdb", refused: "mounted at /srv")]).Stage);
        Assert.Equal(ChooserStage.Confirmed, Press(state.Seen([Drive("sdb"), Drive("sdc")]), "b", ConsoleKey.Enter).Stage);
    }

    [Theory]
    [InlineData('q', 0)]
    [InlineData('\0', (int)ConsoleKey.Escape)]
    public void Leaving_chooses_nothing(char letter, int key) =>
        Assert.Equal(ChooserStage.Left, Start(Drive("sdb")).On(new ConsoleKeyInfo(letter, (ConsoleKey)key, false, false, false)).Stage);

    [Fact]
    public void The_question_names_what_will_be_lost()
    {
        var drive = Drive("sdb", warning: "mounted at /media/eva/X: will be unmounted");
        var state = Press(Start(drive with { Disk = drive.Disk with { Holds = ["ext4 photos"] } }), ConsoleKey.Enter);
        var screen = Screen(state);
        foreach (var words in (string[])["Everything on this drive will be overwritten with a.img", "/dev/sdb", "32 GiB", "Model sdb", "holds ext4 photos", "will be unmounted"])
            Assert.Contains(words, screen, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(20)]
    [InlineData(40)]
    [InlineData(200)]
    public void No_line_is_wider_than_the_terminal(int width)
    {
        var state = Start(Drive("sda", refused: new string('x', 300)), Drive("sdb", warning: new string('y', 300)));
        foreach (var shown in (Chooser[])[state, Press(state, ConsoleKey.Enter)])
            Assert.All(ChooserView.Lines(shown, width), line => Assert.True(System.Text.RegularExpressions.Regex.Replace(line, "\e\\[[0-9;]*m", "").Length <= width, line));
    }
}
