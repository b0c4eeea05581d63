using System.Buffers.Binary;
using System.Text;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>boot.scr: the script that U-Boot's distro boot runs (doc/develop/distro.rst), in the legacy image form (include/image.h). Pure.</summary>
internal static class UBootScript
{
    private const int HeaderSize = 64;
    private const byte Linux = 5, Arm64 = 22, X8664 = 24, Script = 6;

    /// <summary>Chooses the slot and boots it; needs booti or bootm, env import, setexpr and fatwrite, which distro configurations have. A slot on
    /// trial is only tried when its try could be counted, and what fails to load resets the board: the next boot counts on. So a bad slot can
    /// neither hang the board nor be tried for ever. env import deletes what the store does not name, so a garbled one may leave no slot: then it is a.
    /// A slot without a boot.env, or with one that names no kernel, is passed over.</summary>
    public static string Text(Board board, string store)
    {
        // A FIT brings its device trees along; an Image is given one, or that of U-Boot itself.
        var start = board.Artifacts.Kernel.Type == KernelType.FitImage
            ? "if test -n \"${initrd}\"; then bootm ${kernel_addr_r} ${ramdisk_addr_r}:${initrd_size}; else bootm ${kernel_addr_r}; fi"
            : "if test -n \"${initrd}\"; then booti ${kernel_addr_r} ${ramdisk_addr_r}:${initrd_size} ${fdt}; else booti ${kernel_addr_r} - ${fdt}; fi";
        return $$"""
            test -n "${distro_bootpart}" || setenv distro_bootpart 1
            setenv part "${devtype} ${devnum}:${distro_bootpart}"
            setenv slot a
            setenv upgrade_available 0
            setenv bootcount 0
            if load ${part} ${kernel_addr_r} {{store}}; then env import -t ${kernel_addr_r} ${filesize} slot upgrade_available bootcount; fi
            if test "${slot}" = b; then setenv other a; else setenv slot a; setenv other b; fi
            if test "${upgrade_available}" = 1; then
              setenv counted 0
              if setexpr bootcount ${bootcount} + 1; then
                if test ${bootcount} -gt {{board.Slots.Limit}}; then setenv upgrade_available 0; setenv slot ${other}; fi
                if env export -t ${kernel_addr_r} slot upgrade_available bootcount; then
                  if fatwrite ${part} ${kernel_addr_r} {{store}} ${filesize}; then setenv counted 1; fi
                fi
              fi
              if test ${counted} = 0; then echo "OsBuild: the try was not counted, booting slot ${other}"; setenv slot ${other}; fi
            fi
            setenv kernel
            setenv initrd
            setenv devicetree
            for s in ${slot} a b; do
              if test -z "${kernel}"; then
                setenv slot ${s}
                if load ${part} ${kernel_addr_r} slot-${s}/boot.env; then env import -t ${kernel_addr_r} ${filesize} bootargs kernel initrd devicetree; fi
              fi
            done
            test -n "${kernel}" || reset
            setenv fdt ${fdtcontroladdr}
            if test -n "${devicetree}"; then load ${part} ${fdt_addr_r} ${devicetree} || reset; setenv fdt ${fdt_addr_r}; fi
            load ${part} ${kernel_addr_r} ${kernel} || reset
            if test -n "${initrd}"; then load ${part} ${ramdisk_addr_r} ${initrd} || reset; setenv initrd_size ${filesize}; fi
            {{start}}
            echo "OsBuild: slot ${slot} does not start"
            sleep 5
            reset

            """.Replace("\r", "", StringComparison.Ordinal);
    }

    /// <summary>Puts the header around a script, as mkimage -T script does.</summary>
    public static byte[] Wrap(string script, string name, long time, bool x86 = false)
    {
        var text = Encoding.ASCII.GetBytes(script);
        var image = new byte[HeaderSize + 8 + text.Length];
        var data = image.AsSpan(HeaderSize);
        // A list of sizes that ends in 0, then the script.
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)text.Length);
        text.CopyTo(data[8..]);
        BinaryPrimitives.WriteUInt32BigEndian(image, 0x27051956);
        BinaryPrimitives.WriteUInt32BigEndian(image.AsSpan(8), (uint)time);
        BinaryPrimitives.WriteUInt32BigEndian(image.AsSpan(12), (uint)data.Length);
        BinaryPrimitives.WriteUInt32BigEndian(image.AsSpan(24), Crc(data));
        image[28] = Linux;
        image[29] = x86 ? X8664 : Arm64;
        image[30] = Script;
        Encoding.ASCII.GetBytes(name).CopyTo(image, 32);
        BinaryPrimitives.WriteUInt32BigEndian(image.AsSpan(4), Crc(image.AsSpan(0, HeaderSize)));
        return image;
    }

    private static uint Crc(ReadOnlySpan<byte> bytes)
    {
        var crc = 0xFFFFFFFFu;
        foreach (var b in bytes)
        {
            crc ^= b;
            for (var i = 0; i < 8; i++) crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320u);
        }

        return ~crc;
    }
}
