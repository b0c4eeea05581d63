using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace OsBuild.OracleTests.Flasher;

/// <summary>What is wrong with a card. Offsets are bytes of the card; the functions give an errno, 0 for none.</summary>
internal sealed record Wrong
{
    public Func<long, int>? Write { get; init; }

    public Func<long, int>? Read { get; init; }

    public Func<int>? Flush { get; init; }

    /// <summary>Changes what is kept of a write.</summary>
    public Action<long, Memory<byte>>? Keep { get; init; }

    /// <summary>Where bytes for an offset really go; negative is nowhere.</summary>
    public Func<long, long>? Place { get; init; }
}

/// <summary>A card that misbehaves as it is told, seen by the kernel as a real block device: a loop device over a file whose file system
/// (FUSE protocol 7, include/uapi/linux/fuse.h) is this class. The mount is a single file.</summary>
internal sealed unsafe partial class BadCard : IDisposable
{
    /// <summary>Never answer: the request hangs until the card goes.</summary>
    public const int Hang = -1;

    /// <summary>What Linux says of a medium error.</summary>
    public const int IoError = 5;

    private const int HeaderIn = 40, HeaderOut = 16, MaxIo = 1 << 20;
    private readonly SafeFileHandle _fuse;
    private readonly Wrong _wrong;
    private readonly byte[] _store;
    private readonly string _mount;
    private readonly Thread _server;

    public BadCard(int size, Wrong wrong)
    {
        Assert.SkipUnless(File.Exists("/dev/fuse") && Judge.IsRoot, "no FUSE here");
        (_wrong, _store) = (wrong, new byte[size]);
        _mount = Path.Combine(Folder.Path, Guid.NewGuid().ToString("N") + ".bad");
        File.WriteAllBytes(_mount, []);
        _fuse = File.OpenHandle("/dev/fuse", FileMode.Open, FileAccess.ReadWrite);
        Assert.True(Mount("badcard", _mount, "fuse", 0, $"fd={_fuse.DangerousGetHandle()},rootmode=100600,user_id=0,group_id=0,allow_other,max_read={MaxIo}") == 0, Marshal.GetLastPInvokeErrorMessage());
        _server = new Thread(Serve) { IsBackground = true, Name = "bad card" };
        _server.Start();
        Device = new LoopDevice(_mount, ownFile: false, "--direct-io=on");
    }

    public LoopDevice Device { get; }

    /// <summary>What is really on the card.</summary>
    public ReadOnlySpan<byte> Bytes => _store;

    /// <summary>Pulls the card out: from now on every request fails.</summary>
    public void PullOut() => Gone = true;

    public bool Gone { get; private set; }

    public long Writes => Interlocked.Read(ref _writes);

    private long _writes;

    private void Serve()
    {
        var request = new byte[HeaderIn + 64 + MaxIo + 4096];
        while (true)
        {
            nint got;
            fixed (byte* at = request) got = ReadFile(_fuse, at, (nuint)request.Length);
            if (got <= 0)
            {
                if (got < 0 && Marshal.GetLastPInvokeError() is 4 or 2) continue;
                return;
            }

            Answer(request.AsSpan(0, (int)got));
        }
    }

    private void Answer(ReadOnlySpan<byte> request)
    {
        var (opcode, unique) = (BinaryPrimitives.ReadUInt32LittleEndian(request[4..]), BinaryPrimitives.ReadUInt64LittleEndian(request[8..]));
        var body = request[HeaderIn..];
        switch (opcode)
        {
            case 26: Reply(unique, 0, Init()); break;
            case 3 or 4: Reply(unique, 0, Attributes()); break;
            case 14: Reply(unique, 0, [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]); break;
            case 15: ReadRequest(unique, body); break;
            case 16: WriteRequest(unique, body); break;
            case 20: Finish(unique, Gone ? IoError : _wrong.Flush?.Invoke() ?? 0, []); break;
            case 25 or 18: Reply(unique, 0, []); break;
            case 2 or 36 or 42: break;
            default: Reply(unique, 38, []); break;
        }
    }

    private static byte[] Init()
    {
        var answer = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(answer, 7);
        BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(4), 31);
        // FUSE_BIG_WRITES and FUSE_MAX_PAGES.
        BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(12), (1u << 5) | (1u << 22));
        BinaryPrimitives.WriteUInt16LittleEndian(answer.AsSpan(16), 16);
        BinaryPrimitives.WriteUInt16LittleEndian(answer.AsSpan(18), 12);
        BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(20), MaxIo);
        BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(24), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(answer.AsSpan(28), MaxIo / 4096);
        return answer;
    }

    private byte[] Attributes()
    {
        var answer = new byte[104];
        BinaryPrimitives.WriteUInt64LittleEndian(answer, 60);
        BinaryPrimitives.WriteUInt64LittleEndian(answer.AsSpan(16), 1);
        BinaryPrimitives.WriteUInt64LittleEndian(answer.AsSpan(24), (ulong)_store.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(answer.AsSpan(32), (ulong)_store.Length / 512);
        BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(76), 0x8180);
        BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(80), 1);
        BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(96), 4096);
        return answer;
    }

    private static (long Offset, int Length) Range(ReadOnlySpan<byte> body) => (BinaryPrimitives.ReadInt64LittleEndian(body[8..]), BinaryPrimitives.ReadInt32LittleEndian(body[16..]));

    private void ReadRequest(ulong unique, ReadOnlySpan<byte> body)
    {
        var (offset, length) = Range(body);
        var bytes = new byte[Math.Clamp(_store.Length - offset, 0, length)];
        Move(offset, bytes, toStore: false);
        Finish(unique, Gone ? IoError : Worst(_wrong.Read, offset, bytes.Length), bytes);
    }

    private void WriteRequest(ulong unique, ReadOnlySpan<byte> body)
    {
        var (offset, length) = Range(body);
        var error = Gone ? IoError : Worst(_wrong.Write, offset, length);
        if (error == 0)
        {
            var bytes = body.Slice(40, length).ToArray();
            _wrong.Keep?.Invoke(offset, bytes);
            Move(offset, bytes, toStore: true);
            Interlocked.Increment(ref _writes);
        }

        var answer = new byte[8];
        BinaryPrimitives.WriteInt32LittleEndian(answer, length);
        Finish(unique, error, answer);
    }

    /// <summary>The first error of any sector in a range.</summary>
    private static int Worst(Func<long, int>? wrong, long offset, int length)
    {
        for (var at = offset; wrong is not null && at < offset + length; at += 512)
            if (wrong(at) is var error and not 0) return error;
        return 0;
    }

    private void Move(long offset, Span<byte> bytes, bool toStore)
    {
        for (var at = 0; at < bytes.Length; at += 512)
        {
            var piece = bytes[at..Math.Min(bytes.Length, at + 512)];
            var place = _wrong.Place?.Invoke(offset + at) ?? offset + at;
            if (place < 0)
            {
                if (!toStore) piece.Clear();
                continue;
            }

            var there = _store.AsSpan((int)place, piece.Length);
            if (toStore) piece.CopyTo(there);
            else there.CopyTo(piece);
        }
    }

    private void Finish(ulong unique, int error, ReadOnlySpan<byte> answer)
    {
        if (error != Hang) Reply(unique, error, error == 0 ? answer : []);
    }

    private void Reply(ulong unique, int error, ReadOnlySpan<byte> answer)
    {
        var bytes = new byte[HeaderOut + answer.Length];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, bytes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), -error);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), unique);
        answer.CopyTo(bytes.AsSpan(HeaderOut));
        fixed (byte* at = bytes) WriteFile(_fuse, at, (nuint)bytes.Length);
    }

    /// <summary>Ends whatever hangs, as unplugging a card does: MNT_FORCE and MNT_DETACH.</summary>
    public void Abort() => _ = Unmount(_mount, 1 | 2);

    public void Dispose()
    {
        Abort();
        _server.Join();
        Judge.Run("losetup", "-d", Device.Path);
        _fuse.Dispose();
        File.Delete(_mount);
    }

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Mount(string source, string target, string type, nuint flags, string data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Unmount(string target, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFile(SafeFileHandle file, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteFile(SafeFileHandle file, byte* buffer, nuint count);
}
