using System.Globalization;

namespace OsBuild.Images;

/// <summary>A number of bytes, read and printed with binary units (<c>128MiB</c>).</summary>
/// <param name="Bytes">The number of bytes; never negative.</param>
public readonly record struct ByteSize(long Bytes) : IComparable<ByteSize>
{
    private static readonly (string Unit, long Factor)[] Units =
        [("TiB", 1L << 40), ("GiB", 1L << 30), ("MiB", 1L << 20), ("KiB", 1L << 10), ("B", 1)];

    /// <summary>Reads <c>512</c>, <c>64KiB</c>, <c>128 MiB</c> or <c>1.5GiB</c>; also K, M, G, T for the same binary units.</summary>
    /// <returns>False when the text is not a size or does not fit 63 bits.</returns>
    public static bool TryParse(string? text, out ByteSize size)
    {
        size = default;
        if (string.IsNullOrWhiteSpace(text)) return false;
        var trimmed = text.Trim();
        var digits = trimmed.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        var unit = trimmed[digits..].Trim();
        var factor = unit.Length == 0 ? 1 : Units.FirstOrDefault(u =>
            u.Unit.Equals(unit, StringComparison.OrdinalIgnoreCase)
            || (u.Factor > 1 && u.Unit[..1].Equals(unit, StringComparison.OrdinalIgnoreCase))).Factor;
        if (factor == 0 || !decimal.TryParse(trimmed[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return false;
        if (number > long.MaxValue / factor) return false;
        size = new ByteSize((long)(number * factor));
        return true;
    }

    /// <inheritdoc/>
    public int CompareTo(ByteSize other) => Bytes.CompareTo(other.Bytes);

    /// <inheritdoc/>
    public override string ToString()
    {
        foreach (var (unit, factor) in Units)
            if (Bytes >= factor) return ((decimal)Bytes / factor).ToString("0.#", CultureInfo.InvariantCulture) + " " + unit;
        return "0 B";
    }

    /// <summary>The smaller size.</summary>
    public static bool operator <(ByteSize a, ByteSize b) => a.Bytes < b.Bytes;

    /// <summary>The larger size.</summary>
    public static bool operator >(ByteSize a, ByteSize b) => a.Bytes > b.Bytes;

    /// <summary>At most.</summary>
    public static bool operator <=(ByteSize a, ByteSize b) => a.Bytes <= b.Bytes;

    /// <summary>At least.</summary>
    public static bool operator >=(ByteSize a, ByteSize b) => a.Bytes >= b.Bytes;
}
