using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Tests.Builder;

/// <summary>Small but real binaries: every header field that a loader or the builder reads is there.</summary>
internal static class Binaries
{
    public const ushort X8664 = 62, Aarch64 = 183, Arm = 40, I386 = 3;

    /// <summary>A 64-bit ELF file with PT_INTERP and PT_DYNAMIC as asked for; without either it is static.</summary>
    public static byte[] Elf(ushort machine, string? interpreter = null, params string[] needed)
    {
        const int Headers = 64, Entry = 56, Base = 0x400000;
        var file = new byte[2048];
        "\u007fELF\u0002\u0001\u0001"u8.CopyTo(file);
        Put16(file, 16, 3);
        Put16(file, 18, machine);
        Put32(file, 20, 1);
        Put64(file, 0x20, Headers);
        Put16(file, 0x34, 64);
        Put16(file, 0x36, Entry);
        var strings = new List<byte> { 0 };
        var offsets = needed.Select(n => AddText(strings, n)).ToList();
        const int StringsAt = 1024, DynamicAt = 512, InterpreterAt = 400;
        strings.ToArray().CopyTo(file, StringsAt);
        var at = Headers;
        void Header(uint type, long offset, long size)
        {
            Put32(file, at, type);
            Put64(file, at + 8, offset);
            Put64(file, at + 16, Base + offset);
            Put64(file, at + 32, size);
            Put64(file, at + 40, size);
            at += Entry;
        }

        Header(1, 0, file.Length);
        if (interpreter is not null)
        {
            Encoding.ASCII.GetBytes(interpreter).CopyTo(file, InterpreterAt);
            Header(3, InterpreterAt, interpreter.Length + 1);
        }

        if (needed.Length > 0)
        {
            var dynamic = DynamicAt;
            foreach (var offset in offsets)
            {
                Put64(file, dynamic, 1);
                Put64(file, dynamic + 8, offset);
                dynamic += 16;
            }

            Put64(file, dynamic, 5);
            Put64(file, dynamic + 8, Base + StringsAt);
            Header(2, DynamicAt, dynamic + 32 - DynamicAt);
        }

        Put16(file, 0x38, (ushort)((at - Headers) / Entry));
        return file;
    }

    /// <summary>The first 64 bytes of a 32-bit ELF file.</summary>
    public static byte[] Elf32(ushort machine)
    {
        var file = new byte[128];
        "\u007fELF\u0001\u0001\u0001"u8.CopyTo(file);
        Put16(file, 18, machine);
        return file;
    }

    /// <summary>A PE file with one section that ends at <paramref name="size"/>.</summary>
    public static byte[] Pe(ushort machine, int size = 4096)
    {
        var file = new byte[size];
        WritePe(file, 0x80, machine, size);
        return file;
    }

    /// <summary>An x86 kernel: boot protocol 2.15, 64-bit entry, version string.</summary>
    public static byte[] BzImage(string version, bool is64 = true)
    {
        const int SetupSectors = 4, Paragraphs = 512;
        var file = new byte[((SetupSectors + 1) * 512) + (Paragraphs * 16)];
        file[0x1F1] = SetupSectors;
        Put32(file, 0x1F4, Paragraphs);
        Put16(file, 0x1FE, 0xAA55);
        "HdrS"u8.CopyTo(file.AsSpan(0x202));
        Put16(file, 0x206, 0x20F);
        Put16(file, 0x20E, 0x300 - 0x200);
        Put16(file, 0x236, (ushort)(is64 ? 1 : 0));
        Encoding.ASCII.GetBytes($"{version} (oe-user@oe-host) #1 SMP\0").CopyTo(file, 0x300);
        return file;
    }

    /// <summary>An arm64 kernel with its EFI stub's section table and banner.</summary>
    public static byte[] Arm64Image(string version, int size = 16384)
    {
        var file = new byte[size];
        WritePe(file, 0x40, 0xAA64, size);
        Put32(file, 0x38, 0x644D5241);
        Encoding.ASCII.GetBytes($"Linux version {version} (oe-user@oe-host)\0").CopyTo(file, 8192);
        return file;
    }

    /// <summary>A flattened device tree with an empty body.</summary>
    public static byte[] DeviceTree(int size = 256)
    {
        var file = new byte[size];
        BinaryPrimitives.WriteUInt32BigEndian(file, 0xD00DFEED);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(4), (uint)size);
        return file;
    }

    private static void WritePe(byte[] file, int at, ushort machine, int size)
    {
        "MZ"u8.CopyTo(file);
        Put32(file, 0x3C, (uint)at);
        "PE\0\0"u8.CopyTo(file.AsSpan(at));
        Put16(file, at + 4, machine);
        Put16(file, at + 6, 1);
        Put16(file, at + 20, 240);
        var section = at + 24 + 240;
        Put32(file, section + 16, (uint)(size - 512));
        Put32(file, section + 20, 512);
    }

    private static int AddText(List<byte> strings, string text)
    {
        var at = strings.Count;
        strings.AddRange(Encoding.ASCII.GetBytes(text));
        strings.Add(0);
        return at;
    }

    private static void Put16(byte[] file, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);

    private static void Put32(byte[] file, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);

    private static void Put64(byte[] file, int at, long value) => BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(at), value);
}
