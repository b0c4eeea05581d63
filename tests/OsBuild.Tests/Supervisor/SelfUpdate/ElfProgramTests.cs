using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Tests.Supervisor.SelfUpdate;

/// <summary>What cannot be a program of this machine is refused before it is started. The programs are this machine's own.</summary>
public sealed class ElfProgramTests
{
    private static readonly byte[] Own = File.ReadAllBytes(Environment.ProcessPath!);

    private static string? Fault(byte[] file, long? length = null) => ElfProgram.Fault(file.AsSpan(0, Math.Min(64, file.Length)), length ?? file.Length, Own.AsSpan(0, 64));

    private static byte[] With(int at, params byte[] bytes)
    {
        var file = Own.ToArray();
        bytes.CopyTo(file, at);
        return file;
    }

    [Theory]
    [InlineData("/bin/busybox")]
    [InlineData("/bin/cat")]
    public void Programs_of_this_machine_are_programs(string path)
    {
        Assert.SkipUnless(File.Exists(path), $"{path} is not here");
        Assert.Null(Fault(File.ReadAllBytes(path)));
    }

    [Fact]
    public void S76_A_script_is_none() => Assert.Equal("it is no ELF program", Fault([.. "#!/bin/sh\n"u8, .. new byte[9000]]));

    [Theory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(4095)]
    public void S76_One_that_is_too_short_is_none(int length) => Assert.StartsWith($"it has {length} bytes", Fault(new byte[length]), StringComparison.Ordinal);

    [Fact]
    public void S76_One_that_is_too_long_is_none() => Assert.Contains("between 4 KiB and 64 MiB", Fault(Own, 65L << 20), StringComparison.Ordinal);

    [Theory]
    [InlineData(40, "arm")]
    [InlineData(8, "machine 8")]
    public void S76_One_for_another_machine_is_named(byte machine, string name) => Assert.StartsWith($"it is a program for {name}, and this device has ", Fault(With(18, machine, 0)), StringComparison.Ordinal);

    [Fact]
    public void S76_A_core_dump_or_an_object_file_is_none() => Assert.Equal("it is an ELF file, but no program", Fault(With(16, 4, 0)));

    [Fact]
    public void S76_One_that_is_cut_off_is_seen_by_its_table_of_sections()
    {
        for (var percent = 10; percent < 100; percent += 10)
            if ((long)Own.Length * percent / 100 is var length and > ElfProgram.Smallest) Assert.Contains("cut off", Fault(Own, length), StringComparison.Ordinal);
    }

    [Fact]
    public void Any_header_gets_an_answer()
    {
        var random = new Random(5);
        for (var i = 0; i < 100_000; i++)
        {
            var header = Own.AsSpan(0, 64).ToArray();
            for (var n = random.Next(8); n >= 0; n--) header[random.Next(64)] = (byte)random.Next(256);
            ElfProgram.Fault(header, random.NextInt64(100 << 20), Own.AsSpan(0, 64));
            ElfProgram.Fault(header.AsSpan(0, random.Next(64)), random.NextInt64(100 << 20), Own.AsSpan(0, 64));
        }
    }
}
