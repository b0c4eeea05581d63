using System.Runtime.InteropServices;

namespace OsBuild.Images.Copying;

/// <summary>Memory that direct I/O accepts: it starts at a 4 KiB boundary and never moves.</summary>
public static class AlignedBuffer
{
    /// <summary>The boundary: no disk has larger logical sectors.</summary>
    public const int Alignment = 4096;

    /// <summary>Gives <paramref name="length"/> zero bytes from the pinned heap.</summary>
    public static Memory<byte> Allocate(int length)
    {
        var array = GC.AllocateArray<byte>(length + Alignment, pinned: true);
        var address = Marshal.UnsafeAddrOfPinnedArrayElement(array, 0);
        var skip = (int)((Alignment - ((nuint)address % Alignment)) % Alignment);
        return array.AsMemory(skip, length);
    }
}
