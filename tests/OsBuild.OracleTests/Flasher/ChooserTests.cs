using System.Diagnostics;

namespace OsBuild.OracleTests.Flasher;

/// <summary>The chooser in a real terminal, driven through tmux.</summary>
public sealed class ChooserTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly string _socket = Path.Combine(Folder.Path, Guid.NewGuid().ToString("N") + ".tmux");

    private string Tmux(params string[] arguments) => Judge.Run("tmux", ["-S", _socket, .. arguments]).Output;

    private void Start(string image)
    {
        Tmux("-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "60", $"{Cli.Program} write {image}; echo ended $?; sleep 600");
    }

    private string Screen => Tmux("capture-pane", "-p");

    private string WaitFor(Func<string, bool> condition, string what)
    {
        for (var limit = Stopwatch.StartNew(); ;)
        {
            var screen = Screen;
            if (condition(screen)) return screen;
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(60), $"{what} never came:\n{screen}");
            Thread.Sleep(100);
        }
    }

    private string WaitFor(string words) => WaitFor(s => s.Contains(words, StringComparison.Ordinal), words);

    /// <summary>Moves the cursor onto a device.</summary>
    private void MoveTo(string device)
    {
        bool On(string screen) => screen.Split('\n').Any(l => l.StartsWith('>') && l.Contains(device + " ", StringComparison.Ordinal));
        Tmux("send-keys", "Home");
        for (var i = 0; i < 40 && !On(Screen); i++)
        {
            Tmux("send-keys", "Down");
            Thread.Sleep(120);
        }

        WaitFor(On, $"cursor on {device}");
    }

    [Fact]
    public void A_drive_is_chosen_with_arrows_confirmed_by_name_and_written()
    {
        var image = Folder.Image(6 * MiB);
        using var device = new LoopDevice(16 * MiB);
        Start(Folder.File("a.img", image));
        var list = WaitFor("Which drive shall hold");
        Assert.Contains("Not to be written", list, StringComparison.Ordinal);
        MoveTo(device.Path);
        Tmux("send-keys", "Enter");
        Assert.Contains(device.Path, WaitFor("will be overwritten"), StringComparison.Ordinal);
        Tmux("send-keys", "nonsense", "Enter");
        WaitFor("That is not");
        Tmux("send-keys", device.Path["/dev/".Length..], "Enter");
        WaitFor("ended 0");
        Assert.True(image.AsSpan().SequenceEqual(device.Read(image.Length)));
    }

    [Fact]
    public void Drives_appear_and_vanish_while_one_looks_and_q_leaves()
    {
        Start(Folder.File("a.img", Folder.Image(2 * MiB)));
        WaitFor("Which drive shall hold");
        string path;
        using (var device = new LoopDevice(16 * MiB))
        {
            path = device.Path + " ";
            WaitFor(path);
            MoveTo(device.Path);
            Tmux("send-keys", "Enter");
            WaitFor("will be overwritten");
        }

        WaitFor("gone or in use now");
        WaitFor(s => !s.Split('\n').Any(l => l.Contains(path, StringComparison.Ordinal) && l.Contains('[')), "the drive's end");
        Tmux("send-keys", "q");
        Assert.Contains("nothing was written", WaitFor("ended 2"), StringComparison.Ordinal);
    }

    public void Dispose() => Judge.Run("tmux", "-S", _socket, "kill-server");
}
