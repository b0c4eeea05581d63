using System.Buffers.Binary;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>What a processor runs, in the words used in messages.</summary>
internal static class MachineCode
{
    public const string X8664 = "x86-64";
    public const string Aarch64 = "64-bit Arm";

    public static string Of(BoardArch arch) => arch == BoardArch.X8664 ? X8664 : Aarch64;

    /// <summary>Names the code of an ELF file (e_ident[EI_CLASS], e_machine; gABI chapter 4); null when it is not ELF.</summary>
    public static string? OfElf(ReadOnlySpan<byte> head)
    {
        if (head.Length < 20 || !head.StartsWith("\u007FELF"u8)) return null;
        var bits = head[4] == 2 ? 64 : 32;
        var machine = head[5] == 2 ? BinaryPrimitives.ReadUInt16BigEndian(head[18..]) : BinaryPrimitives.ReadUInt16LittleEndian(head[18..]);
        return (machine, bits) switch
        {
            (62, 64) => X8664,
            (62, 32) => "x86-64 with 32-bit pointers (x32)",
            (183, 64) => Aarch64,
            (3, _) => "32-bit x86",
            (40, _) => "32-bit Arm",
            (243, _) => $"{bits}-bit RISC-V",
            (8, _) => $"{bits}-bit MIPS",
            (20 or 21, _) => $"{bits}-bit PowerPC",
            (258, _) => $"{bits}-bit LoongArch",
            _ => $"a processor with ELF machine number {machine}",
        };
    }

    /// <summary>Names the code of a PE file (Microsoft PE format, COFF header); null when it is not PE.</summary>
    public static string? OfPe(ReadOnlySpan<byte> head) => PeHeader(head) is not { } pe ? null : BinaryPrimitives.ReadUInt16LittleEndian(head[(pe + 4)..]) switch
    {
        0x8664 => X8664,
        0xAA64 => Aarch64,
        0x14C => "32-bit x86",
        0x1C0 or 0x1C2 or 0x1C4 => "32-bit Arm",
        0x5064 => "64-bit RISC-V",
        var other => $"a processor with PE machine number 0x{other:x}",
    };

    /// <summary>The size a PE file must have: the end of its last section or of its signature.</summary>
    public static long? SizeOfPe(ReadOnlySpan<byte> head)
    {
        if (PeHeader(head) is not { } pe) return null;
        var sections = BinaryPrimitives.ReadUInt16LittleEndian(head[(pe + 6)..]);
        var optional = BinaryPrimitives.ReadUInt16LittleEndian(head[(pe + 20)..]);
        long end = 0;
        for (var i = 0; i < sections; i++)
        {
            var at = pe + 24 + optional + i * 40;
            if (at + 40 > head.Length) return null;
            var size = BinaryPrimitives.ReadUInt32LittleEndian(head[(at + 16)..]);
            var start = BinaryPrimitives.ReadUInt32LittleEndian(head[(at + 20)..]);
            if (size > 0) end = Math.Max(end, (long)start + size);
        }

        return end;
    }

    private static int? PeHeader(ReadOnlySpan<byte> head)
    {
        if (head.Length < 0x40 || !head.StartsWith("MZ"u8)) return null;
        var at = BinaryPrimitives.ReadInt32LittleEndian(head[0x3C..]);
        return at > 0 && at + 24 <= head.Length && head[at..].StartsWith("PE\0\0"u8) ? at : null;
    }
}
