using OsBuild.ImageBuilder.Boards;

namespace OsBuild.Tests.Builder.Boards;

/// <summary>board-configs/README.md: its tables are made from the boards and the form.</summary>
public sealed class BoardPageTests
{
    private static readonly string Page = Path.Combine(BoardFiles.Configs, "README.md");

    [Fact]
    public void The_table_of_boards_is_current() => Current("boards", BoardPage.Boards(BoardCatalog.All));

    [Fact]
    public void The_table_of_keys_is_current() => Current("keys", BoardPage.Keys());

    [Fact]
    public void The_example_of_the_page_is_a_sound_board()
    {
        var yaml = File.ReadAllText(Page).Split("```yaml\n")[1].Split("```")[0];
        var (board, diagnostics) = BoardFile.Read(new StringReader(yaml), "README.md");
        Assert.Empty(diagnostics);
        Assert.Empty(BoardChecks.Check(board!));
    }

    [Fact]
    public void Every_placement_family_has_a_board()
    {
        var all = BoardCatalog.All;
        Assert.True(all.Count >= 48, $"{all.Count} boards");
        Board Named(string name) => all.First(b => b.Name == name);
        bool At(string board, string file, long offset) => Named(board).Firmware.Any(f => f.Files.Contains(file) && f.Place is BlobPlace.AtOffset at && at.Offset == offset);
        // Offsets of the sources' table of families, one board each.
        Assert.True(At("genericx86-64-bios", "core.img", 512));
        Assert.True(At("quartz64-a", "u-boot-rockchip.bin", 32768));
        Assert.True(At("rock-pi-4b", "idbloader.img", 32768) && At("rock-pi-4b", "u-boot.itb", 8388608));
        Assert.True(At("pine64-plus", "u-boot-sunxi-with-spl.bin", 8192));
        Assert.True(At("khadas-vim3", "u-boot.bin.sd.bin", 0) && At("khadas-vim3", "u-boot.bin.sd.bin", 512));
        Assert.True(At("odroid-c2", "bl1.bin.hardkernel", 0) && At("odroid-c2", "u-boot.gxbb", 49664));
        Assert.True(At("imx8mm-evk", "imx-boot", 33792));
        Assert.True(At("imx8mp-evk", "imx-boot", 32768));
        Assert.True(At("ls1046ardb", "atf/bl2_sd.pbl", 4096) && At("ls1046ardb", "atf/fip_uboot.bin", 1048576));
        Assert.True(At("macchiatobin", "flash-image.bin", 2097152));
        Assert.True(At("rzg2l-smarc", "fip-smarc-rzg2l.bin", 65536));
        Assert.Contains(Named("beagleplay").Firmware, f => f.Place is BlobPlace.InBootFile { Path: "tiboot3.bin" });
        Assert.Contains(Named("zcu102").Firmware, f => f.Place is BlobPlace.InBootFile { Path: "boot.bin" });
        Assert.Contains(Named("stm32mp257f-ev1").Firmware, f => f.Place is BlobPlace.InPartition { Partition: "fip-a" });
        Assert.Contains(Named("dragonboard-410c").Partitions, p => p.GptType == new Guid("DEA0BA2C-CBDD-4805-B4F9-F428251C3E98"));
        Assert.Equal(FirmwareHome.EmmcBoot, Named("verdin-imx8mm").ExternalFirmware!.Where);
        Assert.Equal(BootFlow.RpiFirmware, Named("raspberrypi5").Boot.Flow);
        Assert.Equal(BootFlow.Uefi, Named("genericarm64").Boot.Flow);
    }

    private static void Current(string part, string made)
    {
        var (begin, end) = ($"<!-- {part}: made by a test -->\n", $"<!-- end of {part} -->");
        var text = File.ReadAllText(Page);
        var (from, to) = (text.IndexOf(begin, StringComparison.Ordinal), text.IndexOf(end, StringComparison.Ordinal));
        Assert.True(from >= 0 && to > from, $"README.md has no part {part}");
        from += begin.Length;
        if (BoardFiles.Update) File.WriteAllText(Page, text = text[..from] + "\n" + made + "\n" + text[to..]);
        to = text.IndexOf(end, StringComparison.Ordinal);
        Assert.Equal("\n" + made + "\n", text[from..to]);
    }
}
