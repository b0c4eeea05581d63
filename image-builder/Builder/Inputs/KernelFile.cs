using System.Buffers.Binary;
using System.Text;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Reads the headers of kernel files.</summary>
internal static class KernelFile
{
    private const int HeadSize = 64 << 10;

    /// <summary>Looks at a kernel; a problem and null when it is torn, of another form or for another processor.</summary>
    public static KernelFacts? Inspect(InputFile file, Board board, Problems problems)
    {
        KernelFacts? facts;
        try
        {
            facts = Read(file);
        }
        catch (ImageException e)
        {
            problems.Add($"The kernel {file.Name} cannot be decoded ({Problems.Cause(e)}); deploy it again.");
            return null;
        }

        var wanted = board.Artifacts.Kernel.Type;
        if (facts is null)
            problems.Add($"{file.Name} is not a kernel that the builder knows; board {board.Name} wants {Words.Kernel.Of(wanted)}.");
        else if (facts.FullSize > file.Size)
            problems.Add($"The kernel {file.Name} is cut off: its header asks for {facts.FullSize} bytes, the file has {file.Size}; copy it again.");
        else if (facts.Code is { } code && code != MachineCode.Of(board.Arch))
            problems.Add($"The kernel {file.Name} is for {code}, but board {board.Name} is {MachineCode.Of(board.Arch)}; give the deploy directory of one of its machines ({string.Join(", ", board.Machines)}).");
        else if (facts.Form != wanted)
            problems.Add($"The kernel {file.Name} is {facts.FormName}, but board {board.Name} boots {Words.Kernel.Of(wanted)}; set KERNEL_IMAGETYPE to {Words.Kernel.Of(wanted)} in the Yocto build.");
        else
            return facts;
        return null;
    }

    /// <summary>Reads what a kernel says of itself; null when it is of no known form.</summary>
    public static KernelFacts? Read(InputFile file)
    {
        var head = file.Head(HeadSize);
        if (BzImage(head) is { } bzImage) return bzImage;
        if (Arm64Image(head) is { } image)
        {
            using var content = file.Open();
            return image with { Version = FindVersion(content) };
        }

        if (Codecs.Detect(head) == Codec.Gzip) return InsideGzip(file);
        if (head.Length >= 8 && BinaryPrimitives.ReadUInt32BigEndian(head) == 0xD00DFEED)
            return new(KernelType.FitImage, "a FIT", null, null, BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(4)));
        if (head.AsSpan().StartsWith("ANDROID!"u8)) return new(KernelType.AndroidBootImage, "an Android boot image", null, null, 0);
        // arch/arm/boot/compressed/head.S: the magic number of a zImage.
        if (head.Length > 0x28 && BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(0x24)) == 0x016F2818) return new(null, "a zImage", "32-bit Arm", null, 0);
        if (head.Length > 64 && BinaryPrimitives.ReadUInt32BigEndian(head) == 0x27051956)
            return new(null, "a legacy uImage", null, null, 64 + (long)BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(12)));
        return MachineCode.OfElf(head) is { } code ? new(null, "an ELF file (vmlinux)", code, null, 0) : null;
    }

    // Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
    private static KernelFacts? BzImage(ReadOnlySpan<byte> head)
    {
        if (head.Length < 0x268 || !head[0x202..].StartsWith("HdrS"u8) || BinaryPrimitives.ReadUInt16LittleEndian(head[0x1FE..]) != 0xAA55) return null;
        var setupSectors = head[0x1F1] == 0 ? 4 : head[0x1F1];
        var protocol = BinaryPrimitives.ReadUInt16LittleEndian(head[0x206..]);
        // XLF_KERNEL_64, from protocol 2.12 on.
        var is64 = protocol >= 0x20C && (head[0x236] & 1) != 0;
        var full = (setupSectors + 1) * 512L + BinaryPrimitives.ReadUInt32LittleEndian(head[0x1F4..]) * 16L;
        var at = BinaryPrimitives.ReadUInt16LittleEndian(head[0x20E..]) + 0x200;
        string? version = null;
        if (at > 0x200 && at < head.Length)
        {
            var text = head[at..];
            text = text[..Math.Max(0, text.IndexOf((byte)0))];
            version = Encoding.ASCII.GetString(text).Split(' ')[0];
        }

        return new(KernelType.BzImage, "a bzImage", is64 ? MachineCode.X8664 : "32-bit x86", version, full);
    }

    // Documentation/arch/arm64/booting.rst, "Call the kernel image".
    private static KernelFacts? Arm64Image(ReadOnlySpan<byte> head)
    {
        if (head.Length < 64 || BinaryPrimitives.ReadUInt32LittleEndian(head[0x38..]) != 0x644D5241) return null;
        return new(KernelType.Image, "an arm64 Image", MachineCode.Aarch64, null, MachineCode.SizeOfPe(head) ?? 64);
    }

    private static KernelFacts InsideGzip(InputFile file)
    {
        using var compressed = file.Open();
        using var content = Codecs.OpenRead(compressed, Codec.Gzip);
        var head = new byte[HeadSize];
        var got = content.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        if (Arm64Image(head.AsSpan(0, got)) is null) return new(null, "a gzip file without an arm64 Image in it", null, null, 0);
        return new(KernelType.ImageGz, "an Image.gz", MachineCode.Aarch64, FindVersion(content), 0);
    }

    /// <summary>Finds <c>Linux version X</c> (linux_banner in init/version.c).</summary>
    internal static string? FindVersion(Stream content)
    {
        var marker = "Linux version "u8;
        var buffer = new byte[1 << 20];
        var kept = 0;
        while (true)
        {
            var got = content.ReadAtLeast(buffer.AsSpan(kept), buffer.Length - kept, throwOnEndOfStream: false);
            var window = buffer.AsSpan(0, kept + got);
            for (var from = 0; window[from..].IndexOf(marker) is var at and >= 0; from += at + marker.Length)
            {
                var text = window[(from + at + marker.Length)..];
                var end = text.IndexOfAny((byte)' ', (byte)0);
                // "%s" instead of a version is the format string, not the banner.
                if (end is > 0 and < 65 && char.IsAsciiDigit((char)text[0])) return Encoding.ASCII.GetString(text[..end]);
            }

            if (got < buffer.Length - kept) return null;
            kept = 128;
            window[^kept..].CopyTo(buffer);
        }
    }
}
