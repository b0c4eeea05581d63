using System.Security.Cryptography;
using OsBuild.Images;
using OsBuild.Images.Bmap;
using OsBuild.Images.Copying;

namespace OsBuild.Tests.Images.Copying;

public sealed class ImageCopierTests
{
    private const int MiB = 1 << 20;

    private static readonly CopyOptions Small = new() { ChunkSize = 64 << 10, Chunks = 4, StallLimit = TimeSpan.FromSeconds(20) };

    internal static byte[] Image(int length, int seed = 1, double zeros = 0.4)
    {
        var random = new Random(seed);
        var image = new byte[length];
        for (var at = 0; at < length;)
        {
            var run = Math.Min(length - at, random.Next(1, 300_000));
            if (random.NextDouble() >= zeros) random.NextBytes(image.AsSpan(at, run));
            at += run;
        }

        if (length > 0) image[length - 1] = 0xaa;
        return image;
    }

    internal static CopySource Source(byte[] image, bool known = true) =>
        new() { Name = "image", Open = () => new MemoryStream(image, writable: false), Length = known ? image.Length : null };

    private static CopyOutcome Copy(CopySource source, IMedium medium, CopyOptions? options = null, List<CopyEvent>? events = null, CancellationToken stop = default)
    {
        events ??= [];
        var outcome = Assert.Single(ImageCopier.Copy(source, [medium], options ?? Small, TimeProvider.System, e => { lock (events) events.Add(e); }, stop));
        Assert.IsType<CopyEvent.Ended>(events[^1]);
        return outcome;
    }

    private static void Holds(byte[] image, MemoryMedium medium) => Assert.True(image.AsSpan().SequenceEqual(medium.Bytes.AsSpan(0, image.Length)), "the card does not hold the image");

    [Theory]
    [InlineData(1, 512)]
    [InlineData(511, 512)]
    [InlineData(512, 4096)]
    [InlineData(65535, 4096)]
    [InlineData(65536, 512)]
    [InlineData(65537, 512)]
    [InlineData(1_000_001, 4096)]
    [InlineData(3_333_333, 512)]
    public void Writes_any_length_onto_any_sector_size(int length, int sector)
    {
        var image = Image(length);
        var medium = new MemoryMedium(4 * MiB, sector);
        var outcome = Copy(Source(image), medium);
        Assert.True(outcome.Result == CopyResult.Done, outcome.Message);
        Holds(image, medium);
        var padded = (length + sector - 1) / sector * sector;
        Assert.True(medium.Bytes.AsSpan(length, padded - length).IndexOfAnyExcept((byte)0) < 0, "the last sector is padded with zeros");
        Assert.Equal(0xd1, medium.Bytes[Math.Max(padded, Small.ChunkSize)]);
    }

    [Fact]
    public void Random_images_chunkings_and_media_come_out_byte_for_byte()
    {
        var count = 60 * int.Parse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ") ?? "1");
        for (var seed = 0; seed < count; seed++)
        {
            var random = new Random(seed);
            var image = Image(random.Next(1, 3 * MiB), seed, random.NextDouble());
            var sector = random.Next(2) == 0 ? 512 : 4096;
            var options = Small with
            {
                ChunkSize = 4096 * random.Next(1, 80), Depth = random.Next(1, 4), Chunks = random.Next(2, 6), Verify = random.Next(4) > 0, SkipZeros = random.Next(3) > 0,
            };
            MemoryMedium[] media = [.. Enumerable.Range(0, random.Next(1, 4)).Select(i => new MemoryMedium(3 * MiB + (4096 * i), sector, random.Next(2) == 0 ? (byte)0 : (byte)0xd1) { Discards = random.Next(2) == 0 })];
            var source = Source(image, random.Next(2) == 0) with { Sha256 = random.Next(2) == 0 ? SHA256.HashData(image) : null, Open = () => new DripStream(image, seed) };
            var outcomes = ImageCopier.Copy(source, media, options, TimeProvider.System, _ => { }, default);
            Assert.All(outcomes, o => Assert.True(o.Result == CopyResult.Done, $"seed {seed}: {o.Message}"));
            foreach (var medium in media) Assert.True(image.AsSpan().SequenceEqual(medium.Bytes.AsSpan(0, image.Length)), $"seed {seed}: the card does not hold the image");
        }
    }

    [Fact]
    public void The_first_chunk_is_blanked_first_and_written_last()
    {
        var image = Image(MiB, zeros: 0);
        List<(long Offset, bool Blank)> writes = [];
        var medium = new MemoryMedium(2 * MiB) { Keep = (offset, bytes) => { lock (image) writes.Add((offset, bytes.All(b => b == 0))); return bytes; } };
        Assert.Equal(CopyResult.Done, Copy(Source(image), medium).Result);
        Assert.Equal((0L, true), writes[0]);
        Assert.Equal((0L, false), writes[^1]);
        Assert.Equal(2, writes.Count(w => w.Offset == 0));
    }

    [Fact]
    public void Zeros_are_left_out_only_where_the_card_reads_zero()
    {
        var image = new byte[4 * MiB];
        image[^1] = 1;
        var blank = new MemoryMedium(4 * MiB, fill: 0);
        var stale = new MemoryMedium(4 * MiB, fill: 0x5a);
        var blankOutcome = Copy(Source(image), blank);
        var staleOutcome = Copy(Source(image), stale);
        Holds(image, blank);
        Holds(image, stale);
        Assert.True(blankOutcome.Written < MiB, $"{blankOutcome.Written} bytes written to a blank card");
        Assert.True(staleOutcome.Written >= image.Length, $"{staleOutcome.Written} bytes written to a used card");
        Assert.True(blankOutcome.Verified >= image.Length - Small.ChunkSize, "left-out zeros are proven by reading them");
    }

    [Fact]
    public void A_stale_byte_that_no_sample_sees_is_found_and_zeroed()
    {
        var image = new byte[2 * MiB];
        image[^1] = 1;
        var medium = new MemoryMedium(2 * MiB, fill: 0);
        medium.Bytes[MiB + 12345] = 0x77;
        var outcome = Copy(Source(image), medium);
        Assert.Equal(CopyResult.Done, outcome.Result);
        Assert.Equal(0, outcome.Repaired);
        Holds(image, medium);
    }

    [Fact]
    public void Without_verification_zeros_are_written()
    {
        var image = new byte[2 * MiB];
        image[^1] = 1;
        var medium = new MemoryMedium(2 * MiB, fill: 0);
        var outcome = Copy(Source(image), medium, Small with { Verify = false });
        Assert.True(outcome.Written >= image.Length);
        Assert.Equal(0, outcome.Verified);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_map_leaves_blocks_out_and_mapped_zeros_in(bool discards)
    {
        var image = Image(2 * MiB, zeros: 0);
        image.AsSpan(MiB, MiB / 2).Clear();
        image.AsSpan(300_000, 8192).Clear();
        var map = new BlockMap { ImageSize = image.Length, Ranges = [new(0, 255, null), new(384, 511, Convert.ToHexStringLower(SHA256.HashData(image.AsSpan(384 * 4096))))] };
        var medium = new MemoryMedium(2 * MiB) { Discards = discards };
        var outcome = Copy(Source(image) with { Map = map }, medium);
        Assert.True(outcome.Result == CopyResult.Done, outcome.Message);
        Holds(image, medium);
        if (discards) Assert.True(outcome.Skipped == MiB / 2, $"{outcome.Skipped} bytes left out");
        else Assert.Equal(0, outcome.Skipped);
    }

    [Fact]
    public void An_image_that_does_not_match_its_map_is_not_made_bootable()
    {
        var image = Image(MiB);
        var map = new BlockMap { ImageSize = image.Length, Ranges = [new(0, 255, new string('0', 64))] };
        var medium = new MemoryMedium(MiB);
        var outcome = Copy(Source(image) with { Map = map }, medium);
        Assert.Equal(CopyResult.Failed, outcome.Result);
        Assert.Contains("block map", outcome.Message);
        HeadIsBlank(medium);
    }

    private static void HeadIsBlank(MemoryMedium medium) => Assert.True(medium.Bytes.AsSpan(0, Small.ChunkSize).IndexOfAnyExcept((byte)0) < 0, "the head must be blank");

    [Fact]
    public void A_flipped_bit_is_found_named_and_repaired()
    {
        var image = Image(MiB, zeros: 0);
        var once = 0;
        var medium = new MemoryMedium(MiB)
        {
            Keep = (offset, bytes) =>
            {
                if (offset <= 700_001 && offset + bytes.Length > 700_001 && Interlocked.Increment(ref once) == 1) bytes[700_001 - offset] ^= 4;
                return bytes;
            },
        };
        List<CopyEvent> events = [];
        var outcome = Copy(Source(image), medium, events: events);
        Assert.True(outcome.Result == CopyResult.Done, outcome.Message);
        Assert.Equal(700_001, outcome.FirstBadOffset);
        Assert.Contains("do not trust", outcome.Message);
        Assert.Contains(events, e => e is CopyEvent.RangeRewritten { Attempt: 1 });
        Holds(image, medium);
    }

    [Fact]
    public void A_byte_that_stays_wrong_fails_after_three_attempts()
    {
        var image = Image(MiB, zeros: 0);
        var writes = 0;
        var medium = new MemoryMedium(MiB)
        {
            Keep = (offset, bytes) =>
            {
                if (offset > 700_001 || offset + bytes.Length <= 700_001) return bytes;
                writes++;
                bytes[700_001 - offset] = (byte)~image[700_001];
                return bytes;
            },
        };
        var outcome = Copy(Source(image), medium);
        Assert.Equal(CopyResult.VerifyFailed, outcome.Result);
        Assert.Equal(700_001, outcome.FirstBadOffset);
        Assert.Contains("offset 700001", outcome.Message);
        Assert.Equal(4, writes);
        HeadIsBlank(medium);
    }

    [Fact]
    public void A_head_that_stays_wrong_fails_and_is_blanked()
    {
        var image = Image(MiB, zeros: 0);
        var medium = new MemoryMedium(MiB) { Keep = (offset, bytes) => { if (offset == 0 && bytes[0] == image[0]) bytes[100] ^= 1; return bytes; } };
        var outcome = Copy(Source(image), medium);
        Assert.Equal(CopyResult.VerifyFailed, outcome.Result);
        Assert.Equal(100, outcome.FirstBadOffset);
        HeadIsBlank(medium);
    }

    [Fact]
    public void A_counterfeit_card_that_wraps_is_found()
    {
        var image = Image(MiB, zeros: 0);
        var fake = new WrappingMedium(MiB, MiB / 2);
        var outcome = Copy(Source(image), fake);
        Assert.Equal(CopyResult.VerifyFailed, outcome.Result);
        Assert.Contains("claim more", outcome.Message);
    }

    [Fact]
    public void A_counterfeit_card_is_found_before_anything_but_the_head_is_lost()
    {
        var image = Image(MiB, zeros: 0);
        var outcome = Copy(Source(image), new WrappingMedium(16 * MiB, 4 * MiB), Small with { ProbeCapacity = true });
        Assert.Equal(CopyResult.Failed, outcome.Result);
        Assert.Contains("is a fake: it claims 16 MiB", outcome.Message);
    }

    [Fact]
    public void An_honest_card_keeps_what_lies_past_the_image_through_the_probe()
    {
        var medium = new MemoryMedium(16 * MiB);
        new Random(3).NextBytes(medium.Bytes.AsSpan(2 * MiB));
        var past = medium.Bytes.AsSpan(2 * MiB).ToArray();
        var image = Image(2 * MiB);
        Assert.Equal(CopyResult.Done, Copy(Source(image), medium, Small with { ProbeCapacity = true }).Result);
        Holds(image, medium);
        Assert.True(past.AsSpan().SequenceEqual(medium.Bytes.AsSpan(2 * MiB)), "the probe must put back what it wrote over");
    }

    [Fact]
    public void An_interrupted_write_goes_on_where_it_stopped()
    {
        var image = Image(80 * MiB, zeros: 0);
        var options = new CopyOptions { ChunkSize = 256 << 10, Chunks = 4 };
        using var stop = new CancellationTokenSource();
        var medium = new MemoryMedium(80 * MiB) { OnWrite = (offset, _) => { if (offset >= 76 * MiB) stop.Cancel(); } };
        Assert.Equal(CopyResult.Cancelled, Copy(Source(image), medium, options, stop: stop.Token).Result);
        Assert.True(ExtentScan.IsZero(medium.Bytes.AsSpan(0, 512)), "nothing may look bootable");
        var again = new MemoryMedium(80 * MiB);
        medium.Bytes.CopyTo(again.Bytes, 0);
        var outcome = Copy(Source(image), again, options);
        Assert.True(outcome.Result == CopyResult.Done, outcome.Message);
        Assert.InRange(outcome.Written, 10L * MiB, 30L * MiB);
        Holds(image, again);
    }

    [Fact]
    public void The_note_of_another_image_is_not_believed()
    {
        var options = new CopyOptions { ChunkSize = 256 << 10, Chunks = 4 };
        using var stop = new CancellationTokenSource();
        var medium = new MemoryMedium(80 * MiB) { OnWrite = (offset, _) => { if (offset >= 76 * MiB) stop.Cancel(); } };
        Copy(Source(Image(80 * MiB, 1, 0)), medium, options, stop: stop.Token);
        var other = Image(80 * MiB, 2, 0);
        var again = new MemoryMedium(80 * MiB);
        medium.Bytes.CopyTo(again.Bytes, 0);
        var outcome = Copy(Source(other), again, options);
        Assert.True(outcome.Written >= other.Length);
        Holds(other, again);
    }

    [Theory]
    [InlineData(CopyPhase.Write)]
    [InlineData(CopyPhase.Verify)]
    public void One_card_can_be_stopped_alone(CopyPhase when)
    {
        var image = Image(4 * MiB);
        var stopped = false;
        var one = new MemoryMedium(4 * MiB)
        {
            OnWrite = (offset, _) => { if (when == CopyPhase.Write && offset >= MiB) Volatile.Write(ref stopped, true); Thread.Sleep(offset > 0 ? 10 : 0); },
            OnRead = (offset, _) => { if (when == CopyPhase.Verify && offset >= MiB) Volatile.Write(ref stopped, true); Thread.Sleep(10); },
        };
        var other = new MemoryMedium(4 * MiB);
        var outcomes = ImageCopier.Copy(Source(image), [other, one], Small with { StopOne = index => index == 1 && Volatile.Read(ref stopped) }, TimeProvider.System, _ => { }, default);
        Assert.Equal(CopyResult.Cancelled, outcomes[1].Result);
        Assert.Equal(CopyResult.Done, outcomes[0].Result);
        Holds(image, other);
        HeadIsBlank(one);
    }

    [Fact]
    public void One_failing_card_does_not_touch_the_others()
    {
        var image = Image(2 * MiB);
        var bad = new MemoryMedium(2 * MiB) { OnWrite = (offset, _) => { if (offset > MiB) throw new IOException("Writing to card failed: gone."); } };
        var good = new MemoryMedium(2 * MiB);
        var outcomes = ImageCopier.Copy(Source(image), [bad, good], Small, TimeProvider.System, _ => { }, default);
        Assert.Equal(CopyResult.Failed, outcomes[0].Result);
        Assert.Contains("gone", outcomes[0].Message);
        Assert.Equal(CopyResult.Done, outcomes[1].Result);
        Holds(image, good);
        HeadIsBlank(bad);
    }

    [Fact]
    public void A_stalled_card_is_given_up_while_the_other_finishes()
    {
        using var forever = new ManualResetEventSlim();
        var image = Image(2 * MiB, zeros: 0);
        var stalled = new MemoryMedium(2 * MiB) { OnWrite = (offset, _) => { if (offset >= MiB) forever.Wait(); } };
        var good = new MemoryMedium(2 * MiB);
        var outcomes = ImageCopier.Copy(Source(image), [stalled, good], Small with { StallLimit = TimeSpan.FromMilliseconds(300) }, TimeProvider.System, _ => { }, default);
        forever.Set();
        Assert.Equal(CopyResult.Failed, outcomes[0].Result);
        Assert.Contains("not answered", outcomes[0].Message);
        Assert.Equal(CopyResult.Done, outcomes[1].Result);
        Holds(image, good);
    }

    [Theory]
    [InlineData(CopyPhase.Write)]
    [InlineData(CopyPhase.Verify)]
    public void A_stop_ends_it_and_says_in_what_state_the_card_is(CopyPhase when)
    {
        var image = Image(2 * MiB, zeros: 0);
        using var stop = new CancellationTokenSource();
        var medium = new MemoryMedium(2 * MiB)
        {
            OnWrite = (offset, _) => { if (when == CopyPhase.Write && offset >= MiB) stop.Cancel(); Thread.Sleep(offset > 0 ? 10 : 0); },
            OnRead = (offset, _) => { if (when == CopyPhase.Verify && offset >= MiB) stop.Cancel(); Thread.Sleep(10); },
        };
        var outcome = Copy(Source(image), medium, stop: stop.Token);
        Assert.Equal(CopyResult.Cancelled, outcome.Result);
        Assert.Contains("first MiB is blank", outcome.Message);
        HeadIsBlank(medium);
    }

    [Fact]
    public void An_image_larger_than_the_card_is_refused_before_the_first_byte()
    {
        var medium = new MemoryMedium(MiB);
        var outcome = Copy(Source(Image(MiB + 1)), medium);
        Assert.Equal(CopyResult.Failed, outcome.Result);
        Assert.Contains("Nothing was written", outcome.Message);
        Assert.Empty(medium.Writes);
    }

    [Fact]
    public void An_image_of_unknown_length_that_does_not_end_is_cut_off()
    {
        var medium = new MemoryMedium(MiB);
        var outcome = Copy(new CopySource { Name = "bomb", Open = () => new EndlessStream() }, medium);
        Assert.Equal(CopyResult.Failed, outcome.Result);
        Assert.Contains("larger than card", outcome.Message);
        HeadIsBlank(medium);
    }

    [Theory]
    [InlineData(100_000, "truncated")]
    [InlineData(2_000_000, "more than")]
    public void A_length_that_is_not_the_promised_one_fails(int promised, string says)
    {
        var medium = new MemoryMedium(2 * MiB);
        var image = Image(promised == 100_000 ? 99_999 : 2_000_001);
        var outcome = Copy(Source(image) with { Length = promised }, medium);
        Assert.Equal(CopyResult.Failed, outcome.Result);
        Assert.Contains(says, outcome.Message);
        HeadIsBlank(medium);
    }

    [Fact]
    public void A_wrong_digest_of_the_whole_image_fails_before_the_head_is_written()
    {
        var medium = new MemoryMedium(MiB);
        var outcome = Copy(Source(Image(MiB)) with { Sha256 = new byte[32] }, medium);
        Assert.Equal(CopyResult.Failed, outcome.Result);
        Assert.Contains("SHA-256", outcome.Message);
        HeadIsBlank(medium);
    }

    [Fact]
    public void A_source_that_fails_in_the_middle_ends_in_its_own_words()
    {
        var medium = new MemoryMedium(2 * MiB);
        var source = new CopySource { Name = "image", Open = () => new DripStream(Image(2 * MiB), 1) { FailAt = MiB } };
        var outcome = Copy(source, medium);
        Assert.Equal(CopyResult.Failed, outcome.Result);
        Assert.Contains("torn cable", outcome.Message);
        HeadIsBlank(medium);
    }

    [Fact]
    public void An_empty_image_is_no_image() => Assert.Contains("empty", Copy(Source([], known: false), new MemoryMedium(MiB)).Message);

    [Fact]
    public void An_old_backup_table_at_the_end_of_the_card_goes()
    {
        var medium = new MemoryMedium(8 * MiB);
        "EFI PART"u8.CopyTo(medium.Bytes.AsSpan(medium.Bytes.Length - 512));
        Assert.Equal(CopyResult.Done, Copy(Source(Image(MiB)), medium).Result);
        Assert.True(medium.Bytes.AsSpan(medium.Bytes.Length - (33 * 512)).IndexOfAnyExcept((byte)0) < 0, "the backup table is blank");
    }

    [Fact]
    public void Every_failing_write_or_read_or_flush_ends_in_a_sentence_and_never_in_done()
    {
        var image = Image(MiB, zeros: 0.5);
        for (var failing = 0; failing < 200; failing++)
        {
            var count = 0;
            void Count()
            {
                if (Interlocked.Increment(ref count) == failing + 1) throw new IOException("Writing to card failed at offset 7: input/output error.");
            }

            var medium = new MemoryMedium(MiB) { OnWrite = (_, _) => Count(), OnRead = (_, _) => Count(), OnFlush = Count };
            var outcome = Copy(Source(image), medium);
            if (count <= failing)
            {
                Assert.Equal(CopyResult.Done, outcome.Result);
                Assert.True(failing > 20, "the sweep must reach all phases");
                return;
            }

            Assert.True(outcome.Result == CopyResult.Failed, $"call {failing}: {outcome}");
        }

        Assert.Fail("no run went through");
    }

    [Fact]
    public void Progress_never_goes_back_within_a_phase_and_phases_come_in_order()
    {
        List<CopyEvent> events = [];
        Copy(Source(Image(4 * MiB)), new MemoryMedium(4 * MiB) { OnWrite = (_, _) => Thread.Sleep(5) }, events: events);
        List<CopyPhase> phases = [.. events.OfType<CopyEvent.PhaseStarted>().Select(p => p.Phase)];
        Assert.Equal([CopyPhase.Prepare, CopyPhase.Write, CopyPhase.Verify, CopyPhase.Finish], phases);
        long last = 0;
        foreach (var happened in events)
        {
            if (happened is CopyEvent.PhaseStarted) last = 0;
            if (happened is not CopyEvent.Progress progress) continue;
            Assert.True(progress.Done >= last, "progress went back");
            last = progress.Done;
        }
    }
}

/// <summary>Gives its bytes in pieces of random length, as decoders and sockets do, and may fail.</summary>
internal sealed class DripStream(byte[] bytes, int seed) : MemoryStream(bytes, writable: false)
{
    private readonly Random _random = new(seed);

    public int FailAt { get; init; } = int.MaxValue;

    public override int Read(Span<byte> buffer)
    {
        if (Position >= FailAt) throw new IOException("The image cannot be read: torn cable.");
        return base.Read(buffer[..Math.Min(buffer.Length, _random.Next(1, 50_000))]);
    }
}

internal sealed class EndlessStream : MemoryStream
{
    public override int Read(Span<byte> buffer)
    {
        buffer.Fill(1);
        return buffer.Length;
    }
}

/// <summary>The classic fake: what is written past its real size lands at the start again.</summary>
internal sealed class WrappingMedium(int claimed, int real) : IMedium
{
    private readonly byte[] _bytes = new byte[real];

    public string Name => "card";

    public long Size => claimed;

    public int SectorSize => 512;

    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        for (var i = 0; i < bytes.Length; i += 512) bytes.Slice(i, 512).CopyTo(_bytes.AsSpan((int)((offset + i) % real)));
    }

    public void Read(long offset, Span<byte> into)
    {
        for (var i = 0; i < into.Length; i += 512) _bytes.AsSpan((int)((offset + i) % real), 512).CopyTo(into[i..]);
    }

    public void Flush()
    {
    }

    public void DropCaches()
    {
    }

    public bool TryDiscard(long offset, long length) => false;

    public void Dispose()
    {
    }
}
