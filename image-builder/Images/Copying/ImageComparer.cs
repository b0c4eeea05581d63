namespace OsBuild.Images.Copying;

/// <summary>Compares a medium with an image, byte by byte, and names the first difference. Changes nothing.</summary>
public static class ImageComparer
{
    /// <summary>Compares. Blocks that the source's map leaves out are not looked at.</summary>
    /// <param name="source">The image.</param>
    /// <param name="medium">What should hold it.</param>
    /// <param name="target">Index of the medium for the events.</param>
    /// <param name="time">The clock.</param>
    /// <param name="report">Takes the events.</param>
    /// <param name="stop">Stops the comparison.</param>
    public static CopyOutcome Compare(CopySource source, IMedium medium, int target, TimeProvider time, Action<CopyEvent> report, CancellationToken stop)
    {
        var outcome = Outcome(source, medium, target, time, report, stop);
        report(new CopyEvent.Ended(target, outcome));
        return outcome;
    }

    private static CopyOutcome Outcome(CopySource source, IMedium medium, int target, TimeProvider time, Action<CopyEvent> report, CancellationToken stop)
    {
        const int Size = 1 << 20;
        if (source.Length > medium.Size)
            return new CopyOutcome(CopyResult.VerifyFailed, $"{medium.Name} ({medium.Size} bytes) is smaller than the image ({source.Length} bytes).");
        report(new CopyEvent.PhaseStarted(target, CopyPhase.Verify, source.Length));
        var right = AlignedBuffer.Allocate(Size).Span;
        var there = AlignedBuffer.Allocate(Size).Span;
        List<Extent> extents = [];
        long verified = 0, reported = time.GetTimestamp();
        try
        {
            medium.DropCaches();
            using var image = new ImageReader(source, useMap: true, findZeros: false, medium.SectorSize);
            for (long offset = 0; ; offset = image.Position, extents.Clear())
            {
                stop.ThrowIfCancellationRequested();
                var padded = image.Next(right, extents);
                if (padded == 0) break;
                if (offset + padded > medium.Size) return new CopyOutcome(CopyResult.VerifyFailed, $"{medium.Name} ({medium.Size} bytes) is smaller than the image.");
                foreach (var extent in extents.Where(e => e.Kind == ExtentKind.Data))
                {
                    var back = there[..extent.Length];
                    medium.Read(extent.Offset, back);
                    // The padding of the last sector is nobody's.
                    var length = (int)Math.Min(extent.Length, image.Position - extent.Offset);
                    var same = right.Slice((int)(extent.Offset - offset), length).CommonPrefixLength(back);
                    verified += length;
                    if (same < length)
                        return new CopyOutcome(CopyResult.VerifyFailed, $"{medium.Name} differs from {source.Name}: the first wrong byte is at offset {extent.Offset + same}.") { FirstBadOffset = extent.Offset + same, Verified = verified };
                }

                if (time.GetElapsedTime(reported).TotalMilliseconds < 100) continue;
                reported = time.GetTimestamp();
                report(new CopyEvent.Progress(target, CopyPhase.Verify, image.Position, source.Length, source.Length > 0 ? (double)image.Position / source.Length : source.Fraction?.Invoke()));
            }

            return new CopyOutcome(CopyResult.Done, $"{medium.Name} holds {source.Name}, every byte of it.") { Verified = verified };
        }
        catch (OperationCanceledException)
        {
            return new CopyOutcome(CopyResult.Cancelled, $"Stopped. {medium.Name} is as it was.");
        }
        catch (Exception e) when (e is IOException or ImageException)
        {
            return new CopyOutcome(CopyResult.Failed, e.Message);
        }
    }
}
