using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Flasher.Drives;

/// <summary>What the kernel command line and the firmware's variables say this machine started from and hibernates to.</summary>
/// <param name="Kind">Boot, System or Hibernation.</param>
/// <param name="Tag"><c>PARTUUID</c>, <c>UUID</c>, <c>LABEL</c>, <c>PARTLABEL</c> or <c>path</c>.</param>
/// <param name="Value">Its value, in lower case but for labels and paths.</param>
/// <param name="Told">Who says so.</param>
internal sealed record BootDevice(UseKind Kind, string Tag, string Value, string Told)
{
    private const string Loader = "sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    private const string Vendor = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";

    public static IEnumerable<BootDevice> Of(string root)
    {
        foreach (var device in OfCommandLine(KernelFile.Bytes(Path.Combine(root, "proc/cmdline")))) yield return device;
        // An EFI variable file starts with four bytes of attributes.
        if (KernelFile.Bytes(Path.Combine(root, Loader)) is { Length: > 4 } loader)
            yield return new BootDevice(UseKind.Boot, "PARTUUID", Encoding.Unicode.GetString(loader, 4, loader.Length - 4).TrimEnd('\0').ToLowerInvariant(), "the boot loader");
        if (KernelFile.Bytes(Path.Combine(root, "sys/firmware/efi/efivars/BootCurrent" + Vendor)) is not { Length: >= 6 } current) yield break;
        var number = BinaryPrimitives.ReadUInt16LittleEndian(current.AsSpan(4));
        if (KernelFile.Bytes(Path.Combine(root, $"sys/firmware/efi/efivars/Boot{number:X4}{Vendor}")) is { } option && PartitionOfLoadOption(option.AsSpan(4)) is { } id)
            yield return new BootDevice(UseKind.Boot, "PARTUUID", id, $"firmware entry Boot{number:X4}");
    }

    public static IEnumerable<BootDevice> OfCommandLine(byte[]? commandLine)
    {
        foreach (var word in Encoding.UTF8.GetString(commandLine ?? []).Split((char[])[' ', '\n', '\0'], StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, value) = word.IndexOf('=') is > 0 and var i ? (word[..i], word[(i + 1)..].Trim('"')) : (word, "");
            if (name is not ("root" or "resume") || value.Length == 0) continue;
            var kind = name == "root" ? UseKind.System : UseKind.Hibernation;
            var equals = value.IndexOf('=');
            if (value.StartsWith("/dev/", StringComparison.Ordinal)) yield return new BootDevice(kind, "path", value, $"{name}= of the kernel");
            else if (equals > 0)
                yield return new BootDevice(kind, value[..equals].ToUpperInvariant(), value[..equals].Contains("LABEL") ? value[(equals + 1)..] : value[(equals + 1)..].ToLowerInvariant().Split('/')[0], $"{name}= of the kernel");
        }
    }

    /// <summary>The partition in an EFI_LOAD_OPTION (UEFI 2.10 §3.1.3): attributes, length, name, then a device path whose HD node
    /// (type 4, subtype 1, §10.3.5.1) carries the GPT partition's id.</summary>
    public static string? PartitionOfLoadOption(ReadOnlySpan<byte> option)
    {
        var at = 6;
        while (at + 1 < option.Length && (option[at] | option[at + 1]) != 0) at += 2;
        at += 2;
        while (at + 4 <= option.Length)
        {
            int type = option[at], subtype = option[at + 1], length = BinaryPrimitives.ReadUInt16LittleEndian(option[(at + 2)..]);
            if (type == 0x7f || length < 4 || at + length > option.Length) return null;
            if (type == 4 && subtype == 1 && length >= 42) return option[at + 41] switch
            {
                2 => new Guid(option.Slice(at + 24, 16)).ToString(),
                1 => $"{BinaryPrimitives.ReadUInt32LittleEndian(option[(at + 24)..]):x8}-{BinaryPrimitives.ReadUInt32LittleEndian(option[(at + 4)..]):x2}",
                _ => null,
            };
            at += length;
        }

        return null;
    }
}
