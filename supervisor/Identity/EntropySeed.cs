using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Identity;

/// <summary>
/// Randomness carried over from the last run, so that a board without a hardware generator does not wait for it. The seed is replaced before it is
/// credited: a seed that was used once must never be used again, even when the power goes in between.
/// </summary>
internal static unsafe class EntropySeed
{
    public const int Size = 512;
    private const uint RndAddEntropy = 0x40085203; // _IOW('R', 0x03, int[2]), include/uapi/linux/random.h

    public static void Restore(string state)
    {
        var path = Path.Combine(state, "random-seed");
        var seed = File.Exists(path) ? File.ReadAllBytes(path) : [];
        using var random = File.OpenHandle("/dev/urandom", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        if (seed.Length > 0) Libc.Write(random, seed, "/dev/urandom"); // mixed in, not credited yet
        Save(state);
        if (seed.Length != Size) return;

        // struct rand_pool_info { int entropy_count; int buf_size; __u32 buf[]; }
        var info = stackalloc byte[8 + Size];
        *(int*)info = 256; // bits: the pool never needs more
        *(int*)(info + 4) = Size;
        seed.CopyTo(new Span<byte>(info + 8, Size));
        var result = Libc.Ioctl(random, RndAddEntropy, info);
        if (result < 0) throw new LinuxException("credit the saved random seed", -result);
    }

    /// <summary>Saves a fresh seed; again at shutdown.</summary>
    public static void Save(string state)
    {
        var seed = KernelRandom.Bytes(Size);
        var path = Path.Combine(state, "random-seed");
        DurableFile.Write(path, seed);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }
}
