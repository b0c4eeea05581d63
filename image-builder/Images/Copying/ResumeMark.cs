using System.Buffers.Binary;

namespace OsBuild.Images.Copying;

/// <summary>A note in the blanked head of a half-written medium: which image was being written and how far it was certainly on the medium.
/// It lies where no firmware looks for anything, and everything before it is verified like the rest.</summary>
/// <param name="Image">XXH64 of the image's first chunk.</param>
/// <param name="Length">Length of the image, 0 when it was not known.</param>
/// <param name="ChunkSize">Chunk size of the copy.</param>
/// <param name="Done">Everything before this offset is on the medium.</param>
internal readonly record struct ResumeMark(ulong Image, long Length, int ChunkSize, long Done)
{
    /// <summary>Where it lies.</summary>
    public const int Offset = 4096;

    /// <summary>Bytes around it that are left alone when the head is blanked.</summary>
    public const int Room = 4096;

    /// <summary>How often it is renewed.</summary>
    public const long Every = 64L << 20;

    private static ReadOnlySpan<byte> Magic => "OsBuild flasher: half written image\0\0\0\0\0"u8;

    public static ResumeMark? Read(ReadOnlySpan<byte> room)
    {
        var at = Magic.Length;
        if (!room.StartsWith(Magic) || BinaryPrimitives.ReadUInt64LittleEndian(room[(at + 28)..]) != XxHash64.Hash(room[..(at + 28)])) return null;
        return new ResumeMark(BinaryPrimitives.ReadUInt64LittleEndian(room[at..]), BinaryPrimitives.ReadInt64LittleEndian(room[(at + 8)..]),
            BinaryPrimitives.ReadInt32LittleEndian(room[(at + 16)..]), BinaryPrimitives.ReadInt64LittleEndian(room[(at + 20)..]));
    }

    public void Write(Span<byte> room)
    {
        room.Clear();
        Magic.CopyTo(room);
        var at = Magic.Length;
        BinaryPrimitives.WriteUInt64LittleEndian(room[at..], Image);
        BinaryPrimitives.WriteInt64LittleEndian(room[(at + 8)..], Length);
        BinaryPrimitives.WriteInt32LittleEndian(room[(at + 16)..], ChunkSize);
        BinaryPrimitives.WriteInt64LittleEndian(room[(at + 20)..], Done);
        BinaryPrimitives.WriteUInt64LittleEndian(room[(at + 28)..], XxHash64.Hash(room[..(at + 28)]));
    }
}
