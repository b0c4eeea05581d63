namespace OsBuild.Images.Compression;

/// <summary>Reads a stream ahead in large pieces for a decoder that takes single bytes. The bytes from <see cref="Start"/> to
/// <see cref="End"/> have not been taken yet; behind them lie always <see cref="Slack"/> more that may be read without care:
/// zeros once the source has ended.</summary>
internal sealed class InputBuffer(Stream source, int capacity = 1 << 17)
{
    public const int Slack = 32;

    /// <summary>So many bytes that were taken may be given back by moving <see cref="Start"/>.</summary>
    public const int GiveBack = 8;

    private readonly byte[] _bytes = new byte[capacity + GiveBack + Slack];
    private long _dropped;

    public byte[] Bytes => _bytes;

    public int Start { get; set; }

    public int End { get; private set; }

    /// <summary>True once the source has nothing more behind <see cref="End"/>.</summary>
    public bool Ended { get; private set; }

    /// <summary>Bytes taken so far.</summary>
    public long Taken => _dropped + Start;

    public ReadOnlySpan<byte> Available => _bytes.AsSpan(Start, End - Start);

    /// <summary>Reads more bytes behind those that are left; false at the end of the source.</summary>
    public bool Fill()
    {
        if (Ended) return false;
        if (Start > GiveBack)
        {
            var gone = Start - GiveBack;
            _bytes.AsSpan(gone, End - gone).CopyTo(_bytes);
            _dropped += gone;
            End -= gone;
            Start -= gone;
        }

        var got = source.Read(_bytes, End, capacity + GiveBack - End);
        End += got;
        Ended = got == 0;
        _bytes.AsSpan(End, Slack).Clear();
        return got > 0;
    }

    /// <summary>Forgets everything: the source is at another place now.</summary>
    public void Restart()
    {
        Start = End = 0;
        _dropped = 0;
        Ended = false;
    }

    /// <summary>Makes <paramref name="count"/> bytes available; false when the source ends before.</summary>
    public bool Ensure(int count)
    {
        while (End - Start < count)
            if (!Fill())
                return false;
        return true;
    }

    /// <summary>True when all bytes were taken and the source has ended.</summary>
    public bool AtEnd => !Ensure(1);

    /// <summary>Takes exactly <paramref name="count"/> bytes (at most the capacity); they stay valid until the next call.</summary>
    public ReadOnlySpan<byte> Take(int count, string format)
    {
        if (!Ensure(count)) throw Damage.Torn(format);
        Start += count;
        return _bytes.AsSpan(Start - count, count);
    }

    /// <summary>Takes exactly as many bytes as fit.</summary>
    public void Take(Span<byte> to, string format)
    {
        while (!to.IsEmpty)
        {
            if (AtEnd) throw Damage.Torn(format);
            var some = Math.Min(to.Length, End - Start);
            _bytes.AsSpan(Start, some).CopyTo(to);
            Start += some;
            to = to[some..];
        }
    }
}
