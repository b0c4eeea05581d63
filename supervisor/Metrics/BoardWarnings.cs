namespace OsBuild.Supervisor.Metrics;

/// <summary>What is wrong with power and heat, from what the sensors said lately. Pure: a fold over samples. A warning lasts for some minutes after its
/// cause was last seen, since both come and go by the second.</summary>
internal sealed record BoardWarnings
{
    public static readonly TimeSpan Lasts = TimeSpan.FromMinutes(5);

    private (string Text, TimeSpan Until)? power;
    private (string Text, TimeSpan Until)? heat;

    /// <summary>True when too little voltage was seen lately; null when no sensor tells.</summary>
    public bool? Undervolted { get; private init; }

    /// <summary>What to do about the power, or null.</summary>
    public string? Power => power?.Text;

    /// <summary>What to do about the heat, or null.</summary>
    public string? Heat => heat?.Text;

    /// <param name="sample">What the sensors say.</param>
    /// <param name="now">The monotonic clock.</param>
    public BoardWarnings After(BoardSample sample, TimeSpan now)
    {
        var volts = Fold(power, sample.Undervolted == true ? "the supply voltage is too low: use a stronger power supply or a shorter, thicker cable" : null, now);
        // The text has no reading in it, so that it changes, and is logged, only when the matter changes.
        return new() { power = volts, heat = Fold(heat, Hottest(sample), now), Undervolted = sample.Undervolted is null ? null : volts is not null };
    }

    private static string? Hottest(BoardSample sample)
    {
        foreach (var zone in sample.Temperatures)
            if (zone.Celsius >= zone.EndsAt) return $"{zone.Name} is above {zone.EndsAt:0.#} °C, where the board switches itself off: cool it";
        foreach (var zone in sample.Temperatures)
            if (zone.Celsius >= zone.SlowsAt) return $"{zone.Name} is above {zone.SlowsAt:0.#} °C, where the board slows down: cool it";
        return null;
    }

    /// <summary>A new warning, the one before while it lasts, or none.</summary>
    private static (string Text, TimeSpan Until)? Fold((string Text, TimeSpan Until)? before, string? text, TimeSpan now) =>
        text is not null ? (text, now + Lasts) : before is { } b && now < b.Until ? b : null;
}
