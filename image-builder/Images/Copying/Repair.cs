namespace OsBuild.Images.Copying;

/// <summary>Puts right what read back wrong: stale zeros where nothing was written, and bytes that the medium did not keep.</summary>
internal sealed class Repair(CopySource source, Written image, CopyOptions options, Action<CopyEvent> report)
{
    /// <summary>When more than this is bad, the medium is a fake or dying and no rewriting helps.</summary>
    private const long WorthRepairing = 64 << 20;

    /// <summary>Writes again what a verification found wrong on one lane, on that lane's thread; throws when there is no point.</summary>
    public void Run(Lane lane, int attempt, CancellationToken stop)
    {
        var all = Take(lane);
        var bad = all.Where(i => image.Extents[i].Kind == ExtentKind.Data).ToList();
        var bytes = bad.Sum(i => (long)image.Extents[i].Length);
        if (attempt > options.RepairAttempts || bytes > Math.Max(WorthRepairing, image.Length / 16))
            throw new MediumReadsWrongException(lane.FirstWrong ?? FirstWrong(lane, all, stop), all.Sum(i => (long)image.Extents[i].Length));
        foreach (var i in bad) report(new CopyEvent.RangeRewritten(lane.Index, image.Extents[i].Offset, image.Extents[i].Length, attempt));
        var wrong = Rewrite(lane, bad, stop);
        lane.FirstWrong ??= wrong;
        lane.Repaired += attempt == 1 ? bytes : 0;
        foreach (var stale in all.Where(i => image.Extents[i].Kind != ExtentKind.Data)) lane.WriteZeros(image.Extents[stale]);
        lane.Medium.Flush();
    }

    private static List<int> Take(Lane lane)
    {
        List<int> bad = [.. lane.Bad];
        lane.Bad.Clear();
        bad.Sort();
        return bad;
    }

    /// <summary>Reads the image again and writes the bad extents; gives the first byte that was wrong.</summary>
    private long? Rewrite(Lane lane, List<int> bad, CancellationToken stop) =>
        WalkImage(lane, bad, (extent, right) => lane.WriteDirectly(extent.Offset, right), stop);

    private long FirstWrong(Lane lane, List<int> bad, CancellationToken stop) =>
        WalkImage(lane, bad[..1], (_, _) => { }, stop) ?? image.Extents[bad[0]].Offset;

    private delegate void Act(Extent extent, ReadOnlySpan<byte> right);

    private long? WalkImage(Lane lane, List<int> bad, Act act, CancellationToken stop)
    {
        long? firstWrong = null;
        Stream? stream = null;
        try
        {
            var right = AlignedBuffer.Allocate(options.ChunkSize);
            var there = AlignedBuffer.Allocate(options.ChunkSize);
            long position = 0;
            foreach (var extent in bad.Select(i => image.Extents[i]))
            {
                var bytes = right.Span[..extent.Length];
                bytes.Clear();
                if (extent.Kind == ExtentKind.Data)
                {
                    stream ??= source.Open();
                    Skip(stream, extent.Offset - position, there.Span, lane, stop);
                    position = extent.Offset + ImageReader.Fill(stream, bytes);
                    ImageEdit.Apply(source.Edits, bytes, extent.Offset);
                }

                if (!Lane.Matches(extent, bytes))
                    throw new ImageException(ImageErrorKind.Corrupt, $"{source.Name} changed while it was written; start again with an image that stays as it is.");
                lane.Medium.Read(extent.Offset, there.Span[..extent.Length]);
                var same = bytes.CommonPrefixLength(there.Span[..extent.Length]);
                if (same < extent.Length) firstWrong ??= extent.Offset + same;
                act(extent, bytes);
            }
        }
        finally
        {
            stream?.Dispose();
        }

        return firstWrong;
    }

    private static void Skip(Stream stream, long bytes, Span<byte> scratch, Lane lane, CancellationToken stop)
    {
        while (bytes > 0)
        {
            stop.ThrowIfCancellationRequested();
            lane.Beat();
            var got = stream.Read(scratch[..(int)Math.Min(scratch.Length, bytes)]);
            if (got == 0) return;
            bytes -= got;
        }
    }
}

/// <summary>A medium that does not keep what it is given.</summary>
internal sealed class MediumReadsWrongException(long offset, long bytes) : IOException("The medium reads back wrong.")
{
    public long Offset => offset;

    public long Bytes => bytes;
}
