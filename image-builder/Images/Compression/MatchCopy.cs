using System.Runtime.CompilerServices;

namespace OsBuild.Images.Compression;

/// <summary>The copy of Lempel-Ziv decoders: <c>length</c> bytes from <c>distance</c> before, which may overlap what is written.</summary>
internal static class MatchCopy
{
    /// <summary>Copies in whole words; up to 15 bytes behind the copy are overwritten.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy(ref byte window, int to, int distance, int length)
    {
        ref var target = ref Unsafe.Add(ref window, to);
        ref var source = ref Unsafe.Subtract(ref target, distance);
        if (distance >= 8)
        {
            var done = 0;
            do
            {
                Unsafe.WriteUnaligned(ref Unsafe.Add(ref target, done), Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref source, done)));
                Unsafe.WriteUnaligned(ref Unsafe.Add(ref target, done + 8), Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref source, done + 8)));
                done += 16;
            }
            while (done < length);
        }
        else if (distance == 1)
        {
            Unsafe.InitBlockUnaligned(ref target, source, (uint)length);
        }
        else
        {
            for (var i = 0; i < length; i++) Unsafe.Add(ref target, i) = Unsafe.Add(ref source, i);
        }
    }
}
