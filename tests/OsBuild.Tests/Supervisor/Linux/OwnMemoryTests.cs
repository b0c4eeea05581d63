using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Tests.Supervisor.Linux;

/// <summary>Only what can be had again is given back.</summary>
[Collection("alone")]
public sealed class OwnMemoryTests
{
    private static string Mapping(string head, int anonymous = 0, int swap = 0) =>
        $"{head}\nSize: 100 kB\nRss: 80 kB\nPss: 40 kB\nPrivate_Dirty: {anonymous} kB\nAnonymous: {anonymous} kB\nAnonHugePages: 0 kB\nSwap: {swap} kB\nSwapPss: 0 kB\nVmFlags: rd ex mr mw me sd";

    private static ulong[] Given(params string[] mappings) => [.. OwnMemory.UnchangedFilePages(string.Join('\n', mappings).Split('\n')).Select(m => m.Start)];

    [Fact]
    public void Code_and_constants_of_a_file_are_given_back()
    {
        var both = OwnMemory.UnchangedFilePages($"{Mapping("00405000-00b19000 r-xp 00005000 08:02 1234    /usr/lib/osbuild/supervisor")}\n{Mapping("7fd6aec00000-7fd6aecc5000 r--p 00000000 08:02 99 /usr/lib/lib crypto.so.3")}".Split('\n'));
        Assert.Equal([(0x405000UL, 0x714000UL), (0x7fd6aec00000UL, 0xc5000UL)], both);
    }

    [Theory]
    [InlineData("00f7c000-01561000 rw-p 00b7c000 08:02 1234    /usr/lib/osbuild/supervisor", 0, 0)] // can be written
    [InlineData("00f7a000-00f7c000 r--p 00b7a000 08:02 1234    /usr/lib/osbuild/supervisor", 8, 0)] // relocated by the loader
    [InlineData("00f7a000-00f7c000 r--p 00b7a000 08:02 1234    /usr/lib/osbuild/supervisor", 0, 4)] // relocated, and swapped out since
    [InlineData("7fd6b0000000-7fd6b0100000 r--s 00000000 08:02 7 /var/shared", 0, 0)] // others see it
    [InlineData("7fd6b0000000-7fd6b0100000 r--p 00000000 00:00 0", 0, 0)] // no file
    [InlineData("7fd6b0000000-7fd6b0100000 r-xp 00000000 00:00 0 [vdso]", 0, 0)]
    [InlineData("7fd6b0000000-7fd6b0100000 r--p 00000000 00:05 3 /dev/mem", 0, 0)]
    [InlineData("7fd6b0000000-7fd6b0100000 ---p 00000000 08:02 99 /usr/lib/libc.so.6", 0, 0)]
    public void Nothing_else_is(string head, int anonymous, int swap) =>
        Assert.Equal([0x1000UL, 0x3000UL], Given(Mapping("1000-2000 r-xp 0 08:02 1 /a"), Mapping(head, anonymous, swap), Mapping("3000-4000 r--p 0 08:02 1 /a")));

    [Fact]
    public void A_process_that_gave_back_goes_on_with_less_garbage_and_fewer_pages()
    {
        if (!OperatingSystem.IsLinux()) return;
        var before = Waste(64);
        OwnMemory.GiveBack();
        Assert.InRange(MemoryUse.Of(Environment.ProcessId)!.Value, 1, before - (32 << 10));
        // Code, constants and relocated tables are as they were: hashes by libcrypto, culture data, a thread.
        Assert.Equal("E3B0C44298FC1C14", Convert.ToHexString(System.Security.Cryptography.SHA256.HashData([]))[..16]);
        var thread = new Thread(() => Marshal.FreeHGlobal(Marshal.AllocHGlobal(1 << 20)));
        thread.Start();
        thread.Join();
    }

    /// <summary>Makes garbage. Not inlined, so that nothing of it is still held by the caller's frame.</summary>
    /// <returns>The proportional set in kilobytes while it was there.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Waste(int mebibytes)
    {
        var garbage = new byte[mebibytes][];
        for (var i = 0; i < mebibytes; i++) Array.Fill(garbage[i] = new byte[1 << 20], (byte)1);
        var use = MemoryUse.Of(Environment.ProcessId)!.Value;
        GC.KeepAlive(garbage);
        return use;
    }
}
