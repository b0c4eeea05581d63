using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Choosing;

/// <summary>Shows the chooser on a terminal: draws its lines, reads keys, looks at the drives once a second.</summary>
internal static class TerminalChooser
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan KeyPause = TimeSpan.FromMilliseconds(30);

    /// <summary>Whether there is a person in front of a screen.</summary>
    public static bool Possible => !Console.IsInputRedirected && !Console.IsErrorRedirected;

    /// <summary>Lets a person choose; gives the drives as they were judged when the word was typed.</summary>
    /// <exception cref="RefusedException">The person left.</exception>
    public static IReadOnlyList<JudgedTarget> Choose(string image, long? length, Func<SystemFacts> gather, CancellationToken stop)
    {
        var state = new Chooser { Image = image }.Seen(Look(gather, length));
        IReadOnlyList<Choice>? seen = null;
        var ended = false;
        // On a thread of its own: a dying drive may hold up a look, but not the keys.
        new Thread(() =>
        {
            for (; !Volatile.Read(ref ended); Thread.Sleep(Between)) Volatile.Write(ref seen, Look(gather, length));
        }) { IsBackground = true, Name = "drives" }.Start();
        Console.Error.Write("\e[?1049h\e[?25l");
        try
        {
            for (var drawn = ""; state.Stage is ChooserStage.Choosing or ChooserStage.Confirming;)
            {
                var screen = string.Join("\e[K\r\n", ChooserView.Lines(state, Math.Max(20, Console.WindowWidth)));
                if (screen != drawn) Console.Error.Write($"\e[H{screen}\e[J");
                drawn = screen;
                stop.ThrowIfCancellationRequested();
                if (Console.KeyAvailable) state = state.On(Console.ReadKey(intercept: true));
                else if (Interlocked.Exchange(ref seen, null) is { } drives) state = state.Seen(drives);
                else Thread.Sleep(KeyPause);
            }
        }
        finally
        {
            Volatile.Write(ref ended, true);
            Console.Error.Write("\e[?25h\e[?1049l");
        }

        return state.Stage == ChooserStage.Confirmed ? [.. state.Chosen.Select(c => new JudgedTarget(c.Disk.Device, c.Disk, c.Verdict))]
            : throw new RefusedException("No drive was chosen; nothing was written.");
    }

    private static List<Choice> Look(Func<SystemFacts> gather, long? length)
    {
        var facts = gather();
        return [.. facts.Disks.Where(d => d.Size > 0).Select(d => new Choice(d, Judge.Verdict(d, facts), length))];
    }
}
