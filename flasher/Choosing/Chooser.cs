using OsBuild.Flasher.Drives;
using OsBuild.Images;

namespace OsBuild.Flasher.Choosing;

/// <summary>A drive as the chooser offers it.</summary>
/// <param name="Disk">The disk.</param>
/// <param name="Verdict">What the judge says of it.</param>
/// <param name="ImageLength">Bytes of the image, or null when they are not known.</param>
internal sealed record Choice(Disk Disk, Verdict Verdict, long? ImageLength)
{
    /// <summary>Why it cannot be chosen, in one line; null when it can.</summary>
    public string? Refusal { get; } = !Verdict.Ok ? Short(Verdict.Reasons)
        : ImageLength > Disk.Size ? $"too small: the image has {new ByteSize(ImageLength.Value)}"
        : null;

    /// <summary>The first reasons; <c>flasher list</c> has all of them.</summary>
    private static string Short(IReadOnlyList<Reason> reasons) =>
        string.Join("; ", reasons.Take(ShownReasons).Select(r => r.Text)) + (reasons.Count > ShownReasons ? $"; and {reasons.Count - ShownReasons} more" : "");

    private const int ShownReasons = 2;

    /// <summary>Tells this disk from another one that comes by the same name.</summary>
    public string Identity { get; } = $"{Disk.Device}|{Disk.Number}|{Disk.Size}|{Disk.Serial}|{Disk.Wwid}|{Disk.Sequence}|{Disk.Model}";

    /// <summary><c>sdb</c> of <c>/dev/sdb</c>.</summary>
    public string ShortName => Disk.Device[(Disk.Device.LastIndexOfAny(['/', '\\']) + 1)..];
}

/// <summary>Where a person is in the chooser.</summary>
internal enum ChooserStage
{
    /// <summary>Looking at the list.</summary>
    Choosing,

    /// <summary>Asked to type a word.</summary>
    Confirming,

    /// <summary>The word was typed: write.</summary>
    Confirmed,

    /// <summary>Left without choosing.</summary>
    Left,
}

/// <summary>The chooser, pure: keys and lists of drives go in, the next state comes out.</summary>
internal sealed record Chooser
{
    /// <summary>The image's name.</summary>
    public required string Image { get; init; }

    public IReadOnlyList<Choice> Drives { get; init; } = [];

    /// <summary>Identity of the drive under the cursor.</summary>
    public string? Cursor { get; init; }

    /// <summary>Identities of the drives marked with the space bar.</summary>
    public IReadOnlyList<string> Marked { get; init; } = [];

    public ChooserStage Stage { get; init; }

    /// <summary>What has been typed of <see cref="Word"/>.</summary>
    public string Typed { get; init; } = "";

    /// <summary>What just happened, for the person.</summary>
    public string Note { get; init; } = "";

    /// <summary>Drives that can be chosen.</summary>
    public IReadOnlyList<Choice> Fit => [.. Drives.Where(d => d.Refusal is null)];

    /// <summary>Drives that cannot.</summary>
    public IReadOnlyList<Choice> Refused => [.. Drives.Where(d => d.Refusal is not null)];

    /// <summary>What will be written: the marked drives, or the one under the cursor.</summary>
    public IReadOnlyList<Choice> Chosen => [.. Fit.Where(d => Marked.Count > 0 ? Marked.Contains(d.Identity) : d.Identity == Cursor)];

    /// <summary>What must be typed: the drive's name, or how many there are.</summary>
    public string Word => Chosen is [var one] ? one.ShortName : $"all {Chosen.Count}";

    /// <summary>The state after a look at the drives.</summary>
    public Chooser Seen(IReadOnlyList<Choice> drives)
    {
        var gone = Chosen.Where(c => !drives.Any(d => d.Identity == c.Identity && d.Refusal is null)).ToList();
        var at = Math.Max(0, Fit.ToList().FindIndex(d => d.Identity == Cursor));
        var next = this with { Drives = drives };
        var fit = next.Fit;
        next = next with
        {
            Cursor = fit.Any(d => d.Identity == Cursor) ? Cursor : fit.ElementAtOrDefault(Math.Min(at, fit.Count - 1))?.Identity,
            Marked = [.. Marked.Where(m => fit.Any(d => d.Identity == m))],
        };
        // Only what was asked about may be written: a drive that goes takes the question with it.
        return Stage == ChooserStage.Confirming && gone.Count > 0
            ? next with { Stage = ChooserStage.Choosing, Typed = "", Note = $"{string.Join(", ", gone.Select(g => g.Disk.Device))} {(gone.Count == 1 ? "is" : "are")} gone or in use now; choose again." }
            : next;
    }

    /// <summary>The state after a key.</summary>
    public Chooser On(ConsoleKeyInfo key) => Stage switch
    {
        ChooserStage.Choosing => Choosing(key),
        ChooserStage.Confirming => Confirming(key),
        _ => this,
    };

    private Chooser Choosing(ConsoleKeyInfo key)
    {
        var quiet = this with { Note = "" };
        return key switch
        {
            { Key: ConsoleKey.UpArrow } or { KeyChar: 'k' } => quiet.Move(-1),
            { Key: ConsoleKey.DownArrow } or { KeyChar: 'j' } => quiet.Move(1),
            { Key: ConsoleKey.Home } => quiet.Move(-Drives.Count),
            { Key: ConsoleKey.End } => quiet.Move(Drives.Count),
            { Key: ConsoleKey.Spacebar } => quiet.Mark(),
            { Key: ConsoleKey.Enter } => Chosen.Count > 0 ? quiet with { Stage = ChooserStage.Confirming, Typed = "" } : quiet with { Note = "There is no drive to choose yet: put one in." },
            { Key: ConsoleKey.Escape } or { KeyChar: 'q' } => quiet with { Stage = ChooserStage.Left },
            _ => quiet,
        };
    }

    private Chooser Move(int by)
    {
        var fit = Fit;
        if (fit.Count == 0) return this;
        var at = fit.ToList().FindIndex(d => d.Identity == Cursor);
        return this with { Cursor = fit[Math.Clamp(at + by, 0, fit.Count - 1)].Identity };
    }

    private Chooser Mark() => Cursor is null ? this
        : this with { Marked = Marked.Contains(Cursor) ? [.. Marked.Where(m => m != Cursor)] : [.. Marked, Cursor] };

    private Chooser Confirming(ConsoleKeyInfo key)
    {
        if (key.Key == ConsoleKey.Escape) return this with { Stage = ChooserStage.Choosing, Typed = "" };
        if (key.Key == ConsoleKey.Backspace) return this with { Typed = Typed.Length > 0 ? Typed[..^1] : "" };
        if (key.Key == ConsoleKey.Enter)
            return Typed.Trim() == Word ? this with { Stage = ChooserStage.Confirmed } : this with { Typed = "", Note = $"That is not {Word}; type it, or press Esc to go back." };
        return char.IsControl(key.KeyChar) || Typed.Length > 40 ? this : this with { Typed = Typed + key.KeyChar, Note = "" };
    }
}
