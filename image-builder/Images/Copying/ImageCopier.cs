namespace OsBuild.Images.Copying;

/// <summary>Writes an image to one or more media at once: decode → check → write (the first MiB last) → flush → read back → repair.
/// An image of any length goes onto media of 512 and 4096 byte sectors. Reading, digesting and writing overlap; memory is bounded by
/// <see cref="CopyOptions.Chunks"/>. A medium that fails or hangs ends alone.</summary>
public sealed class ImageCopier : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);
    private readonly CopySource _source;
    private readonly CopyOptions _options;
    private readonly Action<CopyEvent> _report;
    private readonly TimeProvider _time;
    private readonly CancellationToken _stop;
    private readonly ChunkPool _pool;
    private readonly Lane[] _lanes;
    private readonly CopyOutcome?[] _outcomes;
    private readonly Written _image = new();
    private readonly int _sectorSize;
    private Chunk? _head;
    private long _reported;
    private bool _sourceHangs;

    private ImageCopier(CopySource source, IReadOnlyList<IMedium> media, CopyOptions options, TimeProvider time, Action<CopyEvent> report, CancellationToken stop)
    {
        (_source, _options, _report, _time, _stop) = (source, options, report, time, stop);
        _pool = new ChunkPool(options.Chunks + (2 * (media.Count - 1)), options.ChunkSize);
        _lanes = [.. media.Select((m, i) => new Lane(i, m, options, _pool, time))];
        _outcomes = new CopyOutcome?[media.Count];
        _sectorSize = media.Max(m => m.SectorSize);
    }

    /// <summary>Copies. Gives one outcome for each medium, in their order; the same come as <see cref="CopyEvent.Ended"/>.</summary>
    public static IReadOnlyList<CopyOutcome> Copy(
        CopySource source, IReadOnlyList<IMedium> media, CopyOptions options, TimeProvider time, Action<CopyEvent> report, CancellationToken stop)
    {
        ArgumentOutOfRangeException.ThrowIfZero(media.Count);
        using var copier = new ImageCopier(source, media, options, time, report, stop);
        return copier.Run();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Threads that hang in the kernel still hold their lane and the pool.
        if (_lanes.Any(l => l.Failure is StalledException) || _sourceHangs) return;
        foreach (var lane in _lanes) lane.Dispose();
        _pool.Dispose();
    }

    private CopyOutcome[] Run()
    {
        RefuseTooSmall();
        Phase(CopyPhase.Prepare, lane => lane.StartActing(() => lane.Prepare(_options.ChunkSize, _source.Length)));
        Write();
        Phase(CopyPhase.Write, lane => lane.StartActing(lane.Medium.Flush));
        if (_options.Verify)
        {
            VerifyAll(_ => true);
            var repair = new Repair(_source, _image, _options, _report);
            for (var attempt = 1; _lanes.Any(l => l.Alive && !l.Bad.IsEmpty); attempt++)
            {
                var number = attempt;
                Phase(CopyPhase.Repair, lane => lane.StartActing(() => repair.Run(lane, number, _stop)), lane => !lane.Bad.IsEmpty);
                // All of it again: on a card that wraps, what was just written lies over something else.
                VerifyAll(lane => lane.Phase == CopyPhase.Repair);
            }
        }

        Phase(CopyPhase.Finish, lane => lane.StartActing(() => WriteHead(lane)));
        foreach (var lane in _lanes.Where(l => l.Alive)) End(lane, Outcomes.Done(lane, _image.Length, _options.Verify));
        return [.. _outcomes.Select(o => o!)];
    }

    private void VerifyAll(Func<Lane, bool> which)
    {
        List<Lane> lanes = [.. _lanes.Where(which)];
        Phase(CopyPhase.Verify, lane => lane.StartActing(lane.Medium.DropCaches), lanes.Contains);
        Phase(CopyPhase.Verify, lane => lane.StartVerifying(_image), lanes.Contains);
    }

    private void RefuseTooSmall()
    {
        if (_source.Length is not { } length) return;
        var padded = (length + _sectorSize - 1) / _sectorSize * _sectorSize;
        foreach (var lane in _lanes.Where(l => padded > l.Medium.Size))
            lane.Fail(new IOException($"The image is larger ({length} bytes) than {lane.Medium.Name} ({lane.Medium.Size} bytes); take a larger drive. Nothing was written."));
        Reap(nothingWritten: true);
    }

    /// <summary>Runs one phase on every living lane and waits, reporting how far each is.</summary>
    private void Phase(CopyPhase phase, Action<Lane> start, Func<Lane, bool>? which = null)
    {
        Reap();
        var running = _lanes.Where(l => l.Alive && (which is null || which(l))).ToList();
        foreach (var lane in running)
        {
            if (lane.Phase != phase || phase == CopyPhase.Prepare) _report(new CopyEvent.PhaseStarted(lane.Index, phase, _source.Length ?? KnownLength));
            lane.Phase = phase;
            start(lane);
        }

        while (running.Count > 0) Watch(running);
        Reap();
    }

    private long? KnownLength => _image.Length > 0 ? _image.Length : null;

    private void Watch(List<Lane> running)
    {
        running.RemoveAll(lane => lane.Join(Tick / running.Count));
        foreach (var lane in _lanes) lane.GiveUpWhenStalled();
        foreach (var lane in _lanes)
            if (_stop.IsCancellationRequested || _options.StopOne?.Invoke(lane.Index) == true) Cancel(lane);
        if (_reported != 0 && _time.GetElapsedTime(_reported) < 2 * Tick) return;
        _reported = _time.GetTimestamp();
        foreach (var lane in running.Where(l => l.Alive))
            _report(new CopyEvent.Progress(lane.Index, lane.Phase, lane.Done, _source.Length ?? KnownLength, FractionOf(lane)));
    }

    /// <summary>Stops everything but the last step: writing the head takes an instant, and afterwards the medium is whole.</summary>
    private static void Cancel(Lane lane)
    {
        if (lane.Phase == CopyPhase.Finish) return;
        lane.Fail(new OperationCanceledException());
        lane.EndOfImage();
    }

    private double? FractionOf(Lane lane) =>
        (_source.Length ?? KnownLength) is { } length and > 0 ? Math.Min(1, (double)lane.Done / length) : _source.Fraction?.Invoke();

    /// <summary>The write phase: one thread reads and cuts, every lane writes.</summary>
    private void Write()
    {
        if (!_lanes.Any(l => l.Alive)) return;
        Exception? failure = null;
        using var abort = CancellationTokenSource.CreateLinkedTokenSource(_stop);
        var reader = new Thread(() =>
        {
            try
            {
                ReadImage(abort.Token);
            }
            catch (Exception e) when (e is IOException or ImageException or OperationCanceledException or InvalidDataException or UnauthorizedAccessException)
            {
                failure = e;
            }

            // The lanes are told before they run dry, so that none takes half an image for a whole one.
            if (failure is not null)
                foreach (var lane in _lanes) lane.Fail(failure);
            foreach (var lane in _lanes) lane.EndOfImage();
        }) { IsBackground = true, Name = "image" };
        reader.Start();
        Phase(CopyPhase.Write, lane => lane.StartWriting());
        abort.Cancel();
        _sourceHangs = !reader.Join(_stop.IsCancellationRequested || _lanes.All(l => !l.Alive) ? TimeSpan.FromSeconds(1) : Timeout.InfiniteTimeSpan);
        Reap();
    }

    private void ReadImage(CancellationToken stop)
    {
        using var image = new ImageReader(_source, _options.SkipZeros, _options.SkipZeros, _sectorSize);
        while (true)
        {
            var chunk = _pool.Take(stop);
            stop.ThrowIfCancellationRequested();
            var offset = image.Position;
            var length = image.Next(chunk.Memory.Span, chunk.Extents);
            if (length == 0)
            {
                _pool.Return(chunk);
                break;
            }

            if (offset == 0)
            {
                chunk.Hold(0, length, 1);
                _head = chunk;
                var first = XxHash64.Hash(chunk.Memory.Span[..length], ImageEdit.Digest(_source.Edits));
                foreach (var lane in _lanes) lane.Begin(first, _source.Length);
                continue;
            }

            chunk.Hold(offset, length, _lanes.Length);
            _image.Add(chunk);
            foreach (var lane in _lanes) lane.Enqueue(chunk);
            if (_lanes.All(l => !l.Alive)) throw new OperationCanceledException();
        }

        _image.Length = image.Position;
    }

    private void WriteHead(Lane lane)
    {
        var head = _head!.Memory.Span[.._head.Length];
        var expected = XxHash64.Hash(head);
        for (var attempt = 0; ; attempt++)
        {
            lane.WriteDirectly(0, head);
            lane.Medium.Flush();
            if (!_options.Verify) return;
            lane.Medium.DropCaches();
            var back = AlignedBuffer.Allocate(head.Length).Span;
            lane.Medium.Read(0, back);
            if (XxHash64.Hash(back) == expected) return;
            if (attempt == _options.RepairAttempts)
            {
                var wrong = head.CommonPrefixLength(back);
                back.Clear();
                lane.WriteDirectly(0, back);
                throw new MediumReadsWrongException(wrong, head.Length);
            }

            _report(new CopyEvent.RangeRewritten(lane.Index, 0, head.Length, attempt + 1));
        }
    }

    /// <summary>Reports the lanes that have failed since the last look.</summary>
    private void Reap(bool nothingWritten = false)
    {
        foreach (var lane in _lanes.Where(l => !l.Alive)) End(lane, Outcomes.Failed(lane, lane.Failure!, nothingWritten));
    }

    private void End(Lane lane, CopyOutcome outcome)
    {
        if (_outcomes[lane.Index] is not null) return;
        _outcomes[lane.Index] = outcome;
        _report(new CopyEvent.Ended(lane.Index, outcome));
    }
}
