namespace OsBuild.SystemTests.Nightly;

/// <summary>Further boards' images, each booted by the firmware its board file names until a container answers. Long: not part of CI.</summary>
[Collection("machines")]
public sealed class BoardBootTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(25);
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-board-").FullName;

    /// <summary>Boot loaders that QEMU starts, or that go onto a card; unchanged ones are not fetched again.</summary>
    public BoardBootTests() => Checkout.Script(TimeSpan.FromMinutes(10), "firmware.sh");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("genericx86-64", "system_powerdown", null)]
    [InlineData("genericx86-64-bios", "system_powerdown", null)]
    [InlineData("qemuarm64-u-boot", "send-key", """{"keys":[{"type":"qcode","data":"power"}]}""")] // of its keyboard: see machine.sh
    public void A_board_boots_by_its_own_firmware_and_serves(string board, string powerButton, string? key)
    {
        var disk = new DiskFile(Copy(Checkout.Image(board), 2L << 30));
        using (var machine = Machine.Start(board, disk.Path))
        {
            Assert.Contains("Served by a container on a thin host", machine.WaitForPage("/cgi-bin/index.cgi", Long), StringComparison.Ordinal);
            machine.Control.Run(powerButton, key);
            machine.WaitForEnd(TimeSpan.FromMinutes(5)); // a PC's last console is its screen, so the disk must say how it ended
        }

        disk.MustBeClean();
    }

    /// <summary>U-Boot, kernel, initramfs and root from the SD image; QEMU starts U-Boot itself, where a board's own firmware would.</summary>
    [Fact]
    public void A_Raspberry_Pi_3_boots_its_card_by_U_Boot()
    {
        var card = Copy(Checkout.Image("raspberrypi3-u-boot"), 2L << 30);
        KeepWatchdogOut(card);
        using var machine = Machine.Start("raspberrypi3-u-boot", card);
        machine.WaitFor("Found U-Boot script /boot.scr", Long, () => machine.FirmwareConsole);
        machine.WaitFor(@"^\[osbuild\] \+[\d.]+s root /dev/mmcblk\dp2 mounted", Long);
        machine.WaitFor(@"^\[osbuild\] \+[\d.]+s grown: data is", Long);
        machine.WaitFor(@"^\[osbuild\] \+[\d.]+s children", Long);
    }

    /// <summary>QEMU's model of this board's power manager has no timer: it resets the machine the moment the watchdog is armed
    /// (hw/misc/bcm2835_powermgt.c). So the kernel is told not to load its driver.</summary>
    private static void KeepWatchdogOut(string card)
    {
        var (partition, file) = ($"{card}@@{4 << 20}", card + ".env");
        var text = Judge.Run("mtype", "-i", partition, "::slot-a/boot.env").MustPass("mtype").Output;
        Assert.StartsWith("bootargs=", text, StringComparison.Ordinal);
        File.WriteAllText(file, text.Replace("bootargs=", "bootargs=module_blacklist=bcm2835_wdt ", StringComparison.Ordinal));
        Judge.Run("mcopy", "-o", "-i", partition, file, "::slot-a/boot.env").MustPass("mcopy");
    }

    /// <summary>The boot ROM of this machine reads its loader at byte 8192 of the card, where image-builder puts that of an Allwinner board.
    /// It is a 32-bit machine: what it shows is the place, and that U-Boot finds the boot partition and its script.</summary>
    [Fact]
    public void A_boot_ROM_finds_the_raw_loader_where_the_builder_puts_it()
    {
        Checkout.Script(TimeSpan.FromMinutes(20), "publish.sh", "image-builder:linux-x64", "supervisor:linux-arm64");
        Checkout.Script(TimeSpan.FromMinutes(20), "deploy-dir.sh", "raspberrypi3-64");
        var deploy = Path.Combine(_folder, "deploy");
        Judge.Run("cp", "-a", Checkout.Needed(Path.Combine(Checkout.Work, "deploy/raspberrypi3-64")), deploy).MustPass("cp");
        var (loader, board) = (Path.Combine(Checkout.Work, "firmware/orangepi_plus.bin"), Path.Combine(_folder, "orangepi-pc.yaml"));
        File.Copy(loader, Path.Combine(deploy, "u-boot-sunxi-with-spl.bin"));
        File.WriteAllText(board, """
            schema: 1
            extends: allwinner
            name: orangepi-pc
            title: QEMU's Orange Pi PC
            machines: [raspberrypi3-64]
            sources: ["qemu docs/system/arm/orangepi.rst"]
            """);
        Judge.Run(TimeSpan.FromMinutes(5), Checkout.Program("image-builder"), "build", board, "--deploy", deploy, "--output", _folder, "--supervisor", Checkout.Program("supervisor", "linux-arm64")).MustPass("image-builder build");
        var card = Copy(Directory.EnumerateFiles(_folder, "*.img").Single(), 2L << 30);
        using var machine = Machine.StartOwn("qemu-system-arm", "-machine", "orangepi-pc", "-nic", "none", "-serial", "file:{folder}/console.log", "-drive", $"file={card},if=sd,format=raw");
        machine.WaitFor("U-Boot SPL ", Long);
        machine.WaitFor("Trying to boot from MMC1", Long);
        machine.WaitFor("Found U-Boot script /boot.scr", Long);
    }

    /// <summary>A copy on a card that is larger than the image; its size is a power of two, as SD cards in QEMU must have.</summary>
    private string Copy(string image, long size)
    {
        var card = Path.Combine(_folder, "card");
        Judge.Run("cp", "--sparse=always", image, card).MustPass("cp");
        using var file = File.OpenWrite(card);
        file.SetLength(size);
        return card;
    }
}
