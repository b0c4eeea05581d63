using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>The fields of an inode in place (struct ext4_inode, 128 bytes of ext2 and what follows them).</summary>
internal readonly ref struct InodeView(Span<byte> bytes)
{
    public const int Size = 256;
    public const int OldSize = 128;
    public const int BlockOffset = 0x28;
    public const int BlockSize = 60;

    /// <summary>Bytes of the fields behind the first 128 that we write: all up to i_projid.</summary>
    public const int ExtraSize = 32;

    public Span<byte> Bytes { get; } = bytes;

    public Span<byte> Block => Bytes.Slice(BlockOffset, BlockSize);

    public ushort Mode
    {
        get => ReadUInt16LittleEndian(Bytes);
        set => WriteUInt16LittleEndian(Bytes, value);
    }

    public uint Uid
    {
        get => ReadUInt16LittleEndian(Bytes[0x02..]) | ((uint)ReadUInt16LittleEndian(Bytes[0x78..]) << 16);
        set
        {
            WriteUInt16LittleEndian(Bytes[0x02..], (ushort)value);
            WriteUInt16LittleEndian(Bytes[0x78..], (ushort)(value >> 16));
        }
    }

    public uint Gid
    {
        get => ReadUInt16LittleEndian(Bytes[0x18..]) | ((uint)ReadUInt16LittleEndian(Bytes[0x7A..]) << 16);
        set
        {
            WriteUInt16LittleEndian(Bytes[0x18..], (ushort)value);
            WriteUInt16LittleEndian(Bytes[0x7A..], (ushort)(value >> 16));
        }
    }

    public long Length
    {
        get => ReadUInt32LittleEndian(Bytes[0x04..]) | ((long)ReadUInt32LittleEndian(Bytes[0x6C..]) << 32);
        set
        {
            WriteUInt32LittleEndian(Bytes[0x04..], (uint)value);
            WriteUInt32LittleEndian(Bytes[0x6C..], (uint)(value >> 32));
        }
    }

    public uint DeletedAt => ReadUInt32LittleEndian(Bytes[0x14..]);

    public ushort Links
    {
        get => ReadUInt16LittleEndian(Bytes[0x1A..]);
        set => WriteUInt16LittleEndian(Bytes[0x1A..], value);
    }

    /// <summary>Blocks in use, extent and attribute blocks too, in units of 512 bytes.</summary>
    public long Sectors
    {
        get => ReadUInt32LittleEndian(Bytes[0x1C..]) | ((long)ReadUInt16LittleEndian(Bytes[0x74..]) << 32);
        set
        {
            WriteUInt32LittleEndian(Bytes[0x1C..], (uint)value);
            WriteUInt16LittleEndian(Bytes[0x74..], (ushort)(value >> 32));
        }
    }

    public InodeFlags Flags
    {
        get => (InodeFlags)ReadUInt32LittleEndian(Bytes[0x20..]);
        set => WriteUInt32LittleEndian(Bytes[0x20..], (uint)value);
    }

    public uint Generation => ReadUInt32LittleEndian(Bytes[0x64..]);

    public long XattrBlock
    {
        get => ReadUInt32LittleEndian(Bytes[0x68..]) | ((long)ReadUInt16LittleEndian(Bytes[0x76..]) << 32);
        set
        {
            WriteUInt32LittleEndian(Bytes[0x68..], (uint)value);
            WriteUInt16LittleEndian(Bytes[0x76..], (ushort)(value >> 32));
        }
    }

    /// <summary>Bytes of fields behind the first 128; 0 in inodes of 128 bytes.</summary>
    public ushort ExtraIsize
    {
        get => Bytes.Length > OldSize ? ReadUInt16LittleEndian(Bytes[0x80..]) : (ushort)0;
        set => WriteUInt16LittleEndian(Bytes[0x80..], value);
    }

    public (long Seconds, int Nanoseconds) ModifiedAt => Time(0x10, 0x88);

    public uint Checksum => ReadUInt16LittleEndian(Bytes[0x7C..]) | (ExtraIsize >= 4 ? (uint)ReadUInt16LittleEndian(Bytes[0x82..]) << 16 : 0);

    /// <summary>Stamps access, change and modification with one time, and creation with another.</summary>
    public void SetTimes(long seconds, int nanoseconds, long created)
    {
        SetTime(0x08, 0x8C, seconds, nanoseconds);
        SetTime(0x0C, 0x84, seconds, nanoseconds);
        SetTime(0x10, 0x88, seconds, nanoseconds);
        SetTime(0x90, 0x94, created, 0);
    }

    /// <summary>The sum over the inode, its number and generation first (i_checksum_lo, i_checksum_hi).</summary>
    public uint Sum(uint inodeSeed)
    {
        var crc = Crc32C.AddWithout(inodeSeed, Bytes[..OldSize], 0x7C, sizeof(ushort));
        if (Bytes.Length == OldSize) return crc & 0xFFFF;
        return ExtraIsize >= 4 ? Crc32C.AddWithout(crc, Bytes[OldSize..], 2, sizeof(ushort)) : Crc32C.Add(crc, Bytes[OldSize..]) & 0xFFFF;
    }

    public void SetSum(uint inodeSeed)
    {
        var sum = Sum(inodeSeed);
        WriteUInt16LittleEndian(Bytes[0x7C..], (ushort)sum);
        WriteUInt16LittleEndian(Bytes[0x82..], (ushort)(sum >> 16));
    }

    // 34 bits of seconds from 1901 to 2446: the lower 32 are signed, the two lowest bits of the extra word count epochs of 2^32 s.
    private void SetTime(int at, int extra, long seconds, int nanoseconds)
    {
        seconds = Math.Clamp(seconds, int.MinValue, (3L << 32) + int.MaxValue);
        WriteInt32LittleEndian(Bytes[at..], (int)seconds);
        WriteUInt32LittleEndian(Bytes[extra..], (uint)(((seconds - (int)seconds) >> 32) & 3) | ((uint)nanoseconds << 2));
    }

    private (long Seconds, int Nanoseconds) Time(int at, int extra)
    {
        long seconds = ReadInt32LittleEndian(Bytes[at..]);
        if (ExtraIsize < extra + 4 - OldSize) return (seconds, 0);
        var more = ReadUInt32LittleEndian(Bytes[extra..]);
        return (seconds + ((long)(more & 3) << 32), (int)Math.Min(more >> 2, 999_999_999));
    }
}
