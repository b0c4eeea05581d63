using System.Buffers.Binary;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Checks files whose own header says what they are and how long.</summary>
internal static class HeaderChecks
{
    /// <summary>A flattened device tree (Devicetree specification 0.4, §5.2): magic and total size.</summary>
    public static bool DeviceTree(InputFile file, Problems problems)
    {
        var head = file.Head(8);
        if (head.Length < 8 || BinaryPrimitives.ReadUInt32BigEndian(head) != 0xD00DFEED)
        {
            problems.Add($"{file.Name} is not a device tree (no magic number d00dfeed); deploy it again.");
            return false;
        }

        var total = BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(4));
        if (total <= file.Size) return true;
        problems.Add($"The device tree {file.Name} is cut off: its header asks for {total} bytes, the file has {file.Size}; copy it again.");
        return false;
    }

    /// <summary>An EFI program of the right processor, with all its sections there.</summary>
    public static bool EfiProgram(InputFile file, string code, Problems problems)
    {
        var head = file.Head(8192);
        if (MachineCode.OfPe(head) is not { } found)
        {
            problems.Add($"{file.Name} is not an EFI program (no PE header); deploy it again.");
            return false;
        }

        if (found != code)
        {
            problems.Add($"The EFI program {file.Name} is for {found}, but the board is {code}; take the one that was built for this board.");
            return false;
        }

        if (MachineCode.SizeOfPe(head) is not { } full || full <= file.Size) return true;
        problems.Add($"The EFI program {file.Name} is cut off: its sections end at byte {full}, the file has {file.Size}; copy it again.");
        return false;
    }

    /// <summary>The supervisor or another ELF program of the right processor.</summary>
    public static bool ElfProgram(InputFile file, string code, Problems problems)
    {
        var found = MachineCode.OfElf(file.Head(64));
        if (found == code) return true;
        problems.Add(found is null
            ? $"{file.Name} is not a Linux program (no ELF header); give the supervisor binary that ./build.sh publish made."
            : $"{file.Name} is a program for {found}, but the board is {code}; give the supervisor binary of that architecture.");
        return false;
    }
}
