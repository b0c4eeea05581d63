using System.Buffers.Binary;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>Whether a file can be a program of this machine at all, from its ELF header (System V ABI, "Object Files"). Pure.</summary>
internal static class ElfProgram
{
    /// <summary>How much of the file's start is needed, in bytes.</summary>
    public const int HeaderLength = 64;

    /// <summary>No worker is smaller or larger, in bytes.</summary>
    public const long Smallest = 4 << 10, Largest = 64 << 20;

    private const int Executable = 2, Shared = 3;

    /// <summary>What is wrong with a file, or null.</summary>
    /// <param name="header">Its first bytes.</param>
    /// <param name="length">Its length.</param>
    /// <param name="own">The first bytes of a program that does run here.</param>
    public static string? Fault(ReadOnlySpan<byte> header, long length, ReadOnlySpan<byte> own)
    {
        if (length is < Smallest or > Largest) return $"it has {length} bytes; a worker has between {Smallest >> 10} KiB and {Largest >> 20} MiB";
        if (header.Length < HeaderLength || !header.StartsWith("\u007fELF"u8)) return "it is no ELF program";
        if (own.Length < HeaderLength) return "this machine's own program cannot be read";
        // Class (32 or 64 bit), byte order and machine, as this program has them.
        if (header[4] != own[4] || header[5] != own[5] || Machine(header) != Machine(own)) return $"it is a program for {Name(Machine(header))}, and this device has {Name(Machine(own))}";
        if (Type(header) is not (Executable or Shared)) return "it is an ELF file, but no program";
        var end = SectionsEnd(header);
        return end > length ? $"it is cut off: {length} of at least {end} bytes" : null;
    }

    // The headers this program runs on are little-endian; another order was refused above.
    private static int Type(ReadOnlySpan<byte> header) => BinaryPrimitives.ReadUInt16LittleEndian(header[16..]);

    private static int Machine(ReadOnlySpan<byte> header) => BinaryPrimitives.ReadUInt16LittleEndian(header[18..]);

    /// <summary>Where the table of sections ends, which linkers write last.</summary>
    private static long SectionsEnd(ReadOnlySpan<byte> header) => header[4] == 2
        ? BinaryPrimitives.ReadInt64LittleEndian(header[40..]) + ((long)BinaryPrimitives.ReadUInt16LittleEndian(header[58..]) * BinaryPrimitives.ReadUInt16LittleEndian(header[60..]))
        : BinaryPrimitives.ReadUInt32LittleEndian(header[32..]) + ((long)BinaryPrimitives.ReadUInt16LittleEndian(header[46..]) * BinaryPrimitives.ReadUInt16LittleEndian(header[48..]));

    // e_machine, include/uapi/linux/elf-em.h
    private static string Name(int machine) => machine switch
    {
        3 => "x86",
        40 => "arm",
        62 => "x86-64",
        183 => "arm64",
        243 => "riscv",
        _ => $"machine {machine}",
    };
}
