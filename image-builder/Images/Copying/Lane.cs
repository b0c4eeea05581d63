using System.Collections.Concurrent;

namespace OsBuild.Images.Copying;

/// <summary>One target of a copy: its threads, its counters and its fate. A failing lane never touches another one.</summary>
internal sealed class Lane(int index, IMedium medium, CopyOptions options, ChunkPool pool, TimeProvider time) : IDisposable
{
    private const long Idle = long.MaxValue;
    private const long DiscardStep = 1L << 30;
    private static readonly TimeSpan DiscardLimit = TimeSpan.FromSeconds(5);

    /// <summary>Alternate zeros to write from: never changed.</summary>
    private static readonly Memory<byte> Zeros = AlignedBuffer.Allocate(1 << 20);

    private readonly BlockingCollection<Chunk> _queue = [];
    private readonly long[] _busySince = [.. Enumerable.Repeat(Idle, options.Depth)];
    private readonly Memory<byte>[] _samples = [.. Enumerable.Range(0, options.Depth).Select(_ => AlignedBuffer.Allocate(ExtentScan.Block))];
    private Exception? _failure;
    private bool _stale;
    private ResumeMark? _mark;
    private ResumeMark _newMark;
    private long _resumeAt;
    private Thread[] _threads = [];
    private long _done, _written, _skipped, _verified;

    public int Index => index;

    public IMedium Medium => medium;

    public Exception? Failure => Volatile.Read(ref _failure);

    public bool Alive => Failure is null;

    /// <summary>Bytes of the image that the phase is done with.</summary>
    public long Done => Interlocked.Read(ref _done);

    public long Written => Interlocked.Read(ref _written);

    public long Skipped => Interlocked.Read(ref _skipped);

    public long Verified => Interlocked.Read(ref _verified);

    public CopyPhase Phase { get; set; } = CopyPhase.Prepare;

    /// <summary>The medium has been told that nothing on it is of use, so unmapped blocks that read as zero are believed to be zero.</summary>
    public bool Discarded { get; private set; }

    /// <summary>Bytes that read back right only after they were written again.</summary>
    public long Repaired { get; set; }

    public long? FirstWrong { get; set; }

    /// <summary>Numbers of the extents that read back wrong.</summary>
    public ConcurrentQueue<int> Bad { get; } = [];

    /// <summary>The first failure decides; later ones follow from it.</summary>
    public void Fail(Exception failure) => Interlocked.CompareExchange(ref _failure, failure, null);

    /// <summary>Blanks the head (and an old backup GPT past the image), so that what is on the medium is no longer bootable from here on.</summary>
    public void Prepare(int headSize, long? imageLength)
    {
        var head = (int)Math.Min(headSize, medium.Size) / medium.SectorSize * medium.SectorSize;
        _mark = options.Resume ? FindMark(head, imageLength) : null;
        BlankHead(head);
        BlankOldBackupTable(imageLength);
        medium.Flush();
        // What an interrupted run wrote must neither be discarded nor be hit by a probe.
        if (_mark is not null) return;
        if (options.ProbeCapacity && CapacityProbe.FirstLost(medium, head, imageLength ?? 0, (ulong)time.GetTimestamp()) is { } lost)
            throw new IOException($"{medium.Name} is a fake: it claims {new ByteSize(medium.Size)}, but keeps nothing from {new ByteSize(lost)} on. Give it back.");
        var rest = Math.Min(imageLength ?? medium.Size, medium.Size) / ExtentScan.Block * ExtentScan.Block;
        if (options.SkipZeros && rest > head) Discarded = Discard(head, rest);
    }

    /// <summary>Discards in steps; a medium that takes its time over it is left alone.</summary>
    private bool Discard(long from, long to)
    {
        var start = time.GetTimestamp();
        for (var at = from; at < to; at += DiscardStep)
        {
            Beat();
            if (!Alive || time.GetElapsedTime(start) > DiscardLimit || !medium.TryDiscard(at, Math.Min(DiscardStep, to - at))) return false;
        }

        return true;
    }

    /// <summary>Blanks the head but for the note of an interrupted run, which is still true.</summary>
    private void BlankHead(int head)
    {
        var end = _mark is null ? head : ResumeMark.Offset;
        medium.Write(0, Zeros.Span[..end]);
        if (_mark is not null) medium.Write(ResumeMark.Offset + ResumeMark.Room, Zeros.Span[..(head - ResumeMark.Offset - ResumeMark.Room)]);
        _written += head;
    }

    private ResumeMark? FindMark(int head, long? imageLength)
    {
        if (head <= ResumeMark.Offset + ResumeMark.Room) return null;
        var room = _samples[0].Span[..ResumeMark.Room];
        medium.Read(ResumeMark.Offset, room);
        var mark = ResumeMark.Read(room);
        return mark is { } found && found.Length == (imageLength ?? 0) && found.ChunkSize == options.ChunkSize ? mark : null;
    }

    /// <summary>Tells the lane which image comes, before its first chunk: now it is known whether the note is about this one.</summary>
    public void Begin(ulong firstChunk, long? imageLength)
    {
        _resumeAt = _mark is { } mark && mark.Image == firstChunk ? mark.Done : 0;
        _newMark = new ResumeMark(firstChunk, imageLength ?? 0, options.ChunkSize, 0);
    }

    /// <summary>Notes how far the medium is. All chunks that are not in memory any more have been written.</summary>
    private void Note(long offset, int worker)
    {
        var done = offset - ((pool.Count + 1L) * options.ChunkSize);
        if (!options.Resume || done <= _resumeAt) return;
        medium.Flush();
        var room = _samples[worker].Span[..ResumeMark.Room];
        (_newMark with { Done = done }).Write(room);
        medium.Write(ResumeMark.Offset, room);
    }

    private void BlankOldBackupTable(long? imageLength)
    {
        var size = medium.Size / medium.SectorSize * medium.SectorSize;
        var table = 33 * (long)medium.SectorSize;
        if (imageLength is null || size - table < Math.Max(imageLength.Value, 1 << 20)) return;
        var sector = _samples[0].Span[..medium.SectorSize];
        medium.Read(size - medium.SectorSize, sector);
        if (!sector.StartsWith("EFI PART"u8)) return;
        medium.Write(size - table, Zeros.Span[..(int)table]);
    }

    public void StartWriting() => Start(WriteQueue);

    /// <summary>Queues a chunk; a dead lane lets go of it at once.</summary>
    public void Enqueue(Chunk chunk)
    {
        if (Alive && chunk.Offset + chunk.Length > medium.Size)
            Fail(new IOException($"The image is larger than {medium.Name} ({new ByteSize(medium.Size)}); take a larger drive."));
        try
        {
            if (Alive)
            {
                _queue.Add(chunk);
                return;
            }
        }
        catch (InvalidOperationException)
        {
            // Cancelled between the two: the queue takes no more.
        }

        chunk.LetGo();
    }

    public void EndOfImage() => _queue.CompleteAdding();

    /// <summary>True when all threads of the phase have ended or the lane is given up.</summary>
    public bool Join(TimeSpan wait)
    {
        foreach (var thread in _threads)
            if (!thread.Join(wait)) return _failure is StalledException;
        return true;
    }

    /// <summary>Gives the lane up when a request has been under way for too long. The thread stays in the kernel; its chunk is made up for.</summary>
    public void GiveUpWhenStalled()
    {
        if (!Alive) return;
        var now = time.GetTimestamp();
        var stuck = 0;
        for (var i = 0; i < _busySince.Length; i++)
        {
            var since = Interlocked.Read(ref _busySince[i]);
            if (since != Idle && time.GetElapsedTime(since, now) > options.StallLimit) stuck++;
        }

        if (stuck == 0) return;
        Fail(new StalledException($"{medium.Name} has not answered for {options.StallLimit.TotalSeconds:0} s: it was given up. Unplug it, and try another card, port or cable."));
        for (var i = 0; i < options.Depth; i++) pool.AddOne();
        while (_queue.TryTake(out var chunk)) chunk.LetGo();
    }

    private void WriteQueue(int worker)
    {
        foreach (var chunk in _queue.GetConsumingEnumerable())
        {
            try
            {
                if (Alive) WriteChunk(chunk, worker);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Fail(e);
            }

            Busy(worker, false);
            chunk.LetGo();
        }
    }

    private void WriteChunk(Chunk chunk, int worker)
    {
        if (chunk.Offset + chunk.Length <= _resumeAt)
        {
            Interlocked.Add(ref _skipped, chunk.Length);
            Interlocked.Add(ref _done, chunk.Length);
            return;
        }

        if (chunk.Offset / ResumeMark.Every != (chunk.Offset - options.ChunkSize) / ResumeMark.Every) Note(chunk.Offset, worker);
        foreach (var extent in chunk.Extents)
        {
            if (!Alive) return;
            Busy(worker, true);
            if (extent.Kind != ExtentKind.Data && MayLeaveOut(extent, worker))
            {
                Interlocked.Add(ref _skipped, extent.Length);
                continue;
            }

            medium.Write(extent.Offset, chunk.Bytes(extent));
            Interlocked.Add(ref _written, extent.Length);
        }

        Interlocked.Add(ref _done, chunk.Length);
    }

    /// <summary>Zeros may be left out when the medium seems to have zeros there already and either somebody looks later
    /// (verification proves every such byte) or the medium took a discard and nobody needs the bytes.</summary>
    private bool MayLeaveOut(Extent extent, int worker)
    {
        if (!options.SkipZeros) return false;
        if (!options.Verify && !(Discarded && extent.Kind == ExtentKind.Unmapped)) return false;
        if (Volatile.Read(ref _stale)) return false;
        if (ReadsZero(extent.Offset, worker, extent.Length)
            && ReadsZero(extent.Offset + (extent.Length / 2 / ExtentScan.Block * ExtentScan.Block), worker, extent.Length / 2)) return true;
        // A used card: looking before each run would only be followed by writing it.
        // And what a discard left behind is proven after all.
        Volatile.Write(ref _stale, true);
        Discarded = false;
        return false;
    }

    private bool ReadsZero(long offset, int worker, int atMost)
    {
        var length = Math.Min(ExtentScan.Block, atMost) / medium.SectorSize * medium.SectorSize;
        if (length == 0) return true;
        var sample = _samples[worker].Span[..length];
        medium.Read(offset, sample);
        return ExtentScan.IsZero(sample);
    }

    /// <summary>Reads back all extents of these groups and notes the ones that are wrong; stale zeros are put right at once.</summary>
    public void StartVerifying(Written image)
    {
        Interlocked.Exchange(ref _done, 0);
        var next = -1;
        Start(worker =>
        {
            var chunk = pool.Take(CancellationToken.None);
            try
            {
                for (int group; Alive && (group = Interlocked.Increment(ref next)) < image.Groups.Count;)
                {
                    VerifyGroup(image, image.Groups[group], chunk.Memory.Span, worker);
                    Interlocked.Add(ref _done, image.Groups[group].Length);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Fail(e);
            }

            Busy(worker, false);
            pool.Return(chunk);
        });
    }

    private void VerifyGroup(Written image, ExtentGroup group, Span<byte> buffer, int worker)
    {
        for (var i = group.First; i < group.First + group.Count;)
        {
            if (!MustRead(image.Extents[i]))
            {
                i++;
                continue;
            }

            var last = i;
            while (last + 1 < group.First + group.Count && MustRead(image.Extents[last + 1])) last++;
            var offset = image.Extents[i].Offset;
            var bytes = buffer[..(int)(image.Extents[last].End - offset)];
            Busy(worker, true);
            medium.Read(offset, bytes);
            Interlocked.Add(ref _verified, bytes.Length);
            for (; i <= last; i++)
                if (!Matches(image.Extents[i], bytes.Slice((int)(image.Extents[i].Offset - offset), image.Extents[i].Length))) Bad.Enqueue(i);
        }
    }

    private bool MustRead(Extent extent) => extent.Kind != ExtentKind.Unmapped || !Discarded;

    public static bool Matches(Extent extent, ReadOnlySpan<byte> bytes) =>
        extent.Kind == ExtentKind.Data ? XxHash64.Hash(bytes) == extent.Digest : ExtentScan.IsZero(bytes);

    /// <summary>Writes bytes outside the queue: the head, and repairs.</summary>
    public void WriteDirectly(long offset, ReadOnlySpan<byte> bytes)
    {
        medium.Write(offset, bytes);
        Interlocked.Add(ref _written, bytes.Length);
    }

    public void WriteZeros(Extent extent) => WriteDirectly(extent.Offset, Zeros.Span[..extent.Length]);

    /// <summary>Runs one act on this lane's own thread, so that a medium that hangs does not hang the copy.</summary>
    public void StartActing(Action act) => Start(worker =>
    {
        if (worker != 0) return;
        Busy(0, true);
        try
        {
            act();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ImageException or OperationCanceledException)
        {
            Fail(e);
        }

        Busy(0, false);
    });

    private void Start(Action<int> work)
    {
        _threads = new Thread[options.Depth];
        for (var i = 0; i < _threads.Length; i++)
        {
            var worker = i;
            _threads[i] = new Thread(() => work(worker), 256 << 10) { IsBackground = true, Name = $"{medium.Name} {worker}" };
            _threads[i].Start();
        }
    }

    /// <summary>A sign of life from a long act made of many requests.</summary>
    public void Beat() => Busy(0, true);

    private void Busy(int worker, bool busy) => Interlocked.Exchange(ref _busySince[worker], busy ? time.GetTimestamp() : Idle);

    public void Dispose() => _queue.Dispose();
}

/// <summary>A medium that hangs in the kernel.</summary>
internal sealed class StalledException(string message) : IOException(message);
