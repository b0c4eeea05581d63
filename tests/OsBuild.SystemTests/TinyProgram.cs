namespace OsBuild.SystemTests;

/// <summary>Programs of a few instructions, for what a board must outlive.</summary>
internal static class TinyProgram
{
    private const int Header = 64, ProgramHeader = 56;
    private const ulong At = 0x400000;

    /// <summary>A static ELF program (System V ABI, "ELF Header", "Program Header") that ends with 1: as process 1 it makes the kernel panic.</summary>
    public static byte[] Ends(string architecture)
    {
        byte[] code = architecture == "arm64"
            ? [0x20, 0x00, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4] // mov x0, 1; mov x8, 94 (exit_group); svc 0
            : [0xbf, 0x01, 0x00, 0x00, 0x00, 0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05]; // mov edi, 1; mov eax, 231 (exit_group); syscall
        var elf = new byte[Header + ProgramHeader + code.Length];
        using var stream = new MemoryStream(elf);
        using var to = new BinaryWriter(stream);
        to.Write([0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        to.Write((ushort)2); // ET_EXEC
        to.Write((ushort)(architecture == "arm64" ? 183 : 62));
        to.Write(1);
        to.Write(At + Header + ProgramHeader);
        to.Write((ulong)Header);
        to.Write(0UL); // no sections
        to.Write(0);
        foreach (var size in (ushort[])[Header, ProgramHeader, 1, 0, 0, 0]) to.Write(size);
        to.Write(1); // PT_LOAD
        to.Write(5); // read, execute
        foreach (var word in (ulong[])[0, At, At, (ulong)elf.Length, (ulong)elf.Length, 0x1000]) to.Write(word);
        to.Write(code);
        return elf;
    }
}
