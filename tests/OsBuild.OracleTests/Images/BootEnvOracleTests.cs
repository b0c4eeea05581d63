using OsBuild.Images.BootEnv;

namespace OsBuild.OracleTests.Images;

public sealed class BootEnvOracleTests
{
    private static readonly Dictionary<string, string> Slots = new() { ["slot"] = "b", ["tries"] = "3", ["bootargs"] = "console=ttyS0 root=PARTUUID=x ro" };

    [Fact]
    public void Grub_editenv_reads_and_changes_our_block()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["grubenv"], GrubEnvironment.Write(Slots));
        Assert.Equal(["bootargs=console=ttyS0 root=PARTUUID=x ro", "slot=b", "tries=3"], Lines(Judge.Run("grub-editenv", folder["grubenv"], "list").MustPass("list").Output));
        Judge.Run("grub-editenv", folder["grubenv"], "set", "slot=a", "new=back\\slash").MustPass("set");
        Judge.Run("grub-editenv", folder["grubenv"], "unset", "tries").MustPass("unset");
        var read = GrubEnvironment.Read(File.ReadAllBytes(folder["grubenv"]));
        Assert.Equal(("a", "back\\slash", false), (read["slot"], read["new"], read.ContainsKey("tries")));
        Judge.Run("grub-editenv", folder["fresh"], "create").MustPass("create");
        Assert.Empty(GrubEnvironment.Read(File.ReadAllBytes(folder["fresh"])));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Mkenvimage_makes_what_we_read(bool redundant)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["env.txt"], string.Concat(Slots.Select(s => $"{s.Key}={s.Value}\n")));
        string[] arguments = ["-s", "0x2000", "-o", folder["env.bin"], folder["env.txt"]];
        Judge.Run("mkenvimage", redundant ? ["-r", .. arguments] : arguments).MustPass("mkenvimage");
        var block = File.ReadAllBytes(folder["env.bin"]);
        var read = redundant ? UBootEnvironment.ReadRedundant(block, new byte[block.Length]).Variables : UBootEnvironment.Read(block);
        Assert.Equal(Slots.OrderBy(s => s.Key), read);
    }

    [Fact]
    public void Fw_printenv_and_fw_setenv_work_on_one_copy()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["env"], UBootEnvironment.Write(Slots, 0x2000));
        File.WriteAllText(folder["config"], $"{folder["env"]} 0x0 0x2000\n");
        Assert.Equal("slot=b", Print(folder, "slot"));
        Set(folder, "slot", "a");
        Assert.Equal("a", UBootEnvironment.Read(File.ReadAllBytes(folder["env"]))["slot"]);
    }

    [Fact]
    public void Fw_printenv_and_fw_setenv_take_turns_with_us_on_two_copies()
    {
        using var folder = new TempFolder();
        byte[][] copies = [new byte[0x2000], new byte[0x2000]];
        File.WriteAllText(folder["config"], $"{folder["env0"]} 0x0 0x2000\n{folder["env1"]} 0x0 0x2000\n");
        for (var turn = 0; turn < 6; turn++)
        {
            var (copy, block) = UBootEnvironment.WriteRedundant(copies[0], copies[1], new Dictionary<string, string>(Slots) { ["turn"] = $"{turn}" });
            copies[copy] = block;
            for (var i = 0; i < 2; i++) File.WriteAllBytes(folder[$"env{i}"], copies[i]);
            Assert.Equal($"turn={turn}", Print(folder, "turn"));
            Set(folder, "slot", $"theirs{turn}");
            for (var i = 0; i < 2; i++) copies[i] = File.ReadAllBytes(folder[$"env{i}"]);
            var read = UBootEnvironment.ReadRedundant(copies[0], copies[1]).Variables;
            Assert.Equal(($"theirs{turn}", $"{turn}"), (read["slot"], read["turn"]));
        }
    }

    private static string Print(TempFolder folder, string name) => Judge.Run("fw_printenv", "-c", folder["config"], name).MustPass("fw_printenv").Output.Trim();

    private static void Set(TempFolder folder, string name, string value) => Judge.Run("fw_setenv", "-c", folder["config"], name, value).MustPass("fw_setenv");

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
