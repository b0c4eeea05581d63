using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace OsBuild.Supervisor.State;

/// <summary>The supervisor's memory on disk: an append-only journal and two snapshots in turn, each line with its own checksum.</summary>
/// <remarks>
/// A line is <c>SEQUENCE CRC32C JSON</c>. Reading takes the newest whole snapshot and every whole journal line after it, and skips what
/// is torn, flipped or unknown: whatever the medium did, there is an answer, at worst an empty memory. At most the damaged lines are
/// lost: the journal before the last snapshot is kept until the next one, so a broken snapshot costs nothing.
/// </remarks>
internal sealed class Journal : IDisposable
{
    private const long CompactAt = 256 * 1024;

    /// <summary>A file longer than this, in bytes, is damage; so much of it is read and no more.</summary>
    private const int LongestFile = 16 << 20;

    private static readonly string[] SnapshotNames = ["snapshot.a", "snapshot.b"];

    private readonly string directory;
    private readonly Lock gate = new();
    private FileStream? file;
    private long sequence;
    private int nextSnapshot;

    /// <summary>Entries are missing on the medium; a snapshot makes up for them when it can be written again.</summary>
    private bool behind;

    private Journal(string directory) => this.directory = directory;

    public Memory Memory { get; private set; } = new();

    /// <summary>What was found damaged at opening, for the log.</summary>
    public List<string> Damage { get; } = [];

    /// <summary>Why the last write failed; null while writing works. A device whose state cannot be written goes on in memory.</summary>
    public string? WriteError { get; private set; }

    public static Journal Open(string directory)
    {
        var journal = new Journal(directory);
        journal.Read();
        journal.OpenForAppend();
        return journal;
    }

    /// <summary>Reads and writes nothing, for a look beside the supervisor whose journal it is.</summary>
    public static Journal Look(string directory)
    {
        var journal = new Journal(directory);
        journal.Read();
        return journal;
    }

    /// <summary>Whole entries that this version does not know: a later one wrote them.</summary>
    public int Unknown { get; private set; }

    /// <summary>Adds an entry and, when <paramref name="durable"/>, waits until it is on the medium.</summary>
    public void Append(JournalEntry entry, bool durable = true)
    {
        lock (gate)
        {
            Memory = Memory.Apply(entry);
            sequence++;
            try
            {
                if (file is null) OpenForAppend();
                if (file is null) return;
                file.Write(Line(sequence, JsonSerializer.SerializeToUtf8Bytes(entry, StateJson.Default.JournalEntry)));
                file.Flush(flushToDisk: durable);
                WriteError = null;
                if (behind || file.Length > CompactAt) Compact();
                behind = false;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                behind = true;
                WriteError = e.Message;
                file?.Dispose();
                file = null;
            }
        }
    }

    /// <summary>Writes a snapshot and starts a new journal; the old one stays until the next time.</summary>
    public void Compact()
    {
        lock (gate)
        {
            var snapshot = Path.Combine(directory, SnapshotNames[nextSnapshot]);
            using (var to = new FileStream(snapshot + ".new", FileMode.Create, FileAccess.Write))
            {
                to.Write(Line(sequence, JsonSerializer.SerializeToUtf8Bytes(Memory, StateJson.Default.Memory)));
                to.Flush(flushToDisk: true);
            }

            File.Move(snapshot + ".new", snapshot, overwrite: true);
            nextSnapshot = 1 - nextSnapshot;
            file?.Dispose();
            file = null;
            var current = Path.Combine(directory, "journal");
            if (File.Exists(current)) File.Move(current, current + ".old", overwrite: true);
            OpenForAppend();
        }
    }

    public void Dispose() => file?.Dispose();

    private void OpenForAppend()
    {
        try
        {
            Directory.CreateDirectory(directory);
            // Without a buffer, which on a full disk would fail once more when it is disposed of.
            file = new FileStream(Path.Combine(directory, "journal"), FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
            // A torn last line must not swallow the next one.
            if (file.Length > 0) file.Write("\n"u8);
            WriteError = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            behind = true;
            WriteError = e.Message;
        }
    }

    private void Read()
    {
        var snapshots = SnapshotNames.Select(name => (Name: name, Snapshot: ReadSnapshot(name))).ToList();
        var best = snapshots.Where(s => s.Snapshot is not null).OrderByDescending(s => s.Snapshot!.Value.Sequence).FirstOrDefault();
        if (best.Snapshot is { } found)
        {
            (sequence, Memory) = found;
            nextSnapshot = best.Name == SnapshotNames[0] ? 1 : 0;
        }

        foreach (var name in (string[])["journal.old", "journal"])
            foreach (var (number, json) in Lines(name))
            {
                if (number <= sequence) continue;
                try
                {
                    Memory = Memory.Apply(JsonSerializer.Deserialize(json, StateJson.Default.JournalEntry)!);
                    sequence = number;
                }
                catch (Exception e) when (e is JsonException or NotSupportedException)
                {
                    Unknown++;
                    Damage.Add($"{name}: entry {number} is from another version and was skipped");
                }
            }
    }

    private (long Sequence, Memory Memory)? ReadSnapshot(string name)
    {
        foreach (var (number, json) in Lines(name))
        {
            try
            {
                return (number, JsonSerializer.Deserialize(json, StateJson.Default.Memory)!);
            }
            catch (Exception e) when (e is JsonException or NotSupportedException)
            {
                Unknown++;
                Damage.Add($"{name}: is from another version and was skipped");
            }
        }

        return null;
    }

    private IEnumerable<(long Number, byte[] Json)> Lines(string name)
    {
        byte[] bytes;
        try
        {
            var path = Path.Combine(directory, name);
            if (!File.Exists(path)) yield break;
            bytes = Start(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Damage.Add($"{name}: {e.Message}");
            yield break;
        }

        for (var at = 0; at < bytes.Length;)
        {
            var end = Array.IndexOf(bytes, (byte)'\n', at);
            if (end < 0) end = bytes.Length;
            if (end > at)
            {
                if (Parse(bytes.AsSpan(at, end - at)) is { } line) yield return line;
                else Damage.Add($"{name}: {end - at} damaged bytes at {at} were skipped");
            }

            at = end + 1;
        }
    }

    private static byte[] Start(string path)
    {
        using var from = File.OpenRead(path);
        using MemoryStream start = new();
        var buffer = new byte[64 << 10];
        for (int got; start.Length < LongestFile && (got = from.Read(buffer)) > 0;) start.Write(buffer, 0, got);
        return start.ToArray();
    }

    internal static byte[] Line(long number, byte[] json) => [.. Encoding.ASCII.GetBytes($"{number} {Checksum(number, json):x8} "), .. json, (byte)'\n'];

    internal static (long Number, byte[] Json)? Parse(ReadOnlySpan<byte> line)
    {
        var first = line.IndexOf((byte)' ');
        if (first is < 1 or > 19 || line.Length < first + 10 || line[first + 9] != ' ') return null;
        if (!long.TryParse(line[..first], NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return null;
        if (!uint.TryParse(line.Slice(first + 1, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var crc)) return null;
        var json = line[(first + 10)..].ToArray();
        return Checksum(number, json) == crc ? (number, json) : null;
    }

    private static uint Checksum(long number, ReadOnlySpan<byte> json)
    {
        var crc = BitOperations.Crc32C(uint.MaxValue, (ulong)number);
        foreach (var b in json) crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }
}
