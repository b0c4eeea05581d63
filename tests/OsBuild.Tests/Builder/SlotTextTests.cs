using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.Tests.Builder;

/// <summary>The words that stand for what only the device knows: every text that a loader reads gets them where they belong, or is refused.</summary>
public sealed class SlotTextTests
{
    private const string Uuid = "e2194655-85f0-8232-87af-e72c6b98207a", OtherUuid = "9f0aa354-ea9f-8654-94b9-db4cf23a79d2";
    private const string Args = $"root=PARTUUID={Uuid} ro rootwait init=/usr/lib/osbuild/supervisor osbuild.slot=a console=ttyS0,115200";
    private const string ArgsTemplate = "root=PARTUUID=@ROOT@ ro rootwait init=/usr/lib/osbuild/supervisor osbuild.slot=@SLOT@ console=ttyS0,115200";

    private static readonly SlotNames Names = new(Uuid, "root-a", "root-b");

    private static readonly Dictionary<string, string> Sound = new()
    {
        ["loader/entry.conf"] = $"title Poky 5.0.7 (scarthgap)\nversion 5.0.7\nsort-key osbuild-9999\nlinux /slot-a/bzImage\ninitrd /slot-a/microcode.cpio\ninitrd /slot-a/initramfs.cpio.zst\noptions {Args}\n",
        ["slot/grub.cfg"] = $"linux /slot-a/bzImage {Args}\ninitrd /slot-a/microcode.cpio /slot-a/initramfs.cpio.zst\ndevicetree /slot-a/board.dtb\n",
        ["slot/boot.env"] = $"bootargs={Args}\nkernel=slot-a/Image\ninitrd=slot-a/initramfs.cpio.zst\ndevicetree=slot-a/board.dtb\n",
        ["slot/cmdline.txt"] = $"{Args}\n",
        ["loader/config.txt"] = "# Made by image-builder; your own settings belong below.\narm_64bit=1\nos_prefix=slot-a/\nkernel=kernel8.img\ninitramfs initramfs.cpio.zst followkernel\n",
    };

    public static TheoryData<string> Paths => [.. Sound.Keys];

    private static (string? Template, IReadOnlyList<string> Problems) Make(string path, string text, SlotNames? names = null)
    {
        var problems = new Problems();
        return (SlotText.Template(path, text, names ?? Names, problems), problems.Sentences);
    }

    [Theory]
    [InlineData("loader/entry.conf", $"title Poky 5.0.7 (scarthgap)\nversion 5.0.7\nsort-key osbuild-@SORT@\nlinux /slot-@SLOT@/bzImage\ninitrd /slot-@SLOT@/microcode.cpio\ninitrd /slot-@SLOT@/initramfs.cpio.zst\noptions {ArgsTemplate}\n")]
    [InlineData("slot/grub.cfg", $"linux /slot-@SLOT@/bzImage {ArgsTemplate}\ninitrd /slot-@SLOT@/microcode.cpio /slot-@SLOT@/initramfs.cpio.zst\ndevicetree /slot-@SLOT@/board.dtb\n")]
    [InlineData("slot/boot.env", $"bootargs={ArgsTemplate}\nkernel=slot-@SLOT@/Image\ninitrd=slot-@SLOT@/initramfs.cpio.zst\ndevicetree=slot-@SLOT@/board.dtb\n")]
    [InlineData("slot/cmdline.txt", $"{ArgsTemplate}\n")]
    [InlineData("loader/config.txt", "# Made by image-builder; your own settings belong below.\narm_64bit=1\nos_prefix=slot-@SLOT@/\nkernel=kernel8.img\ninitramfs initramfs.cpio.zst followkernel\n")]
    public void Every_text_gets_its_words(string path, string template)
    {
        var made = Make(path, Sound[path]);
        Assert.Empty(made.Problems);
        Assert.Equal(template, made.Template);
        Assert.Equal(Sound[path], SlotText.Fill(template, "a", Uuid, "9999"));
        Assert.DoesNotContain('@', SlotText.Fill(template, "b", OtherUuid, "9998"));
    }

    [Fact]
    public void A_root_that_is_found_by_its_name_is_found_by_the_other_slots_name()
    {
        var text = Sound["slot/boot.env"].Replace($"PARTUUID={Uuid}", "PARTLABEL=root-a", StringComparison.Ordinal);
        Assert.StartsWith("bootargs=root=PARTLABEL=root-@SLOT@ ro", Make("slot/boot.env", text).Template, StringComparison.Ordinal);
        var own = text.Replace("root-a", "system_a", StringComparison.Ordinal);
        Assert.StartsWith("bootargs=root=PARTLABEL=system_@SLOT@ ro", Make("slot/boot.env", own, new(Uuid, "system_a", "system_b")).Template, StringComparison.Ordinal);
    }

    [Fact]
    public void On_an_MBR_disk_the_partition_is_its_signature_and_number()
    {
        var text = Sound["slot/cmdline.txt"].Replace(Uuid, "3d5f0a11-02", StringComparison.Ordinal);
        Assert.Equal($"{ArgsTemplate}\n", Make("slot/cmdline.txt", text, new("3d5f0a11-02", "root-a", "root-b")).Template);
    }

    /// <summary>An image that was an update itself has another number.</summary>
    [Fact]
    public void Whatever_number_the_sort_key_has_is_the_devices() =>
        Assert.Equal(Make("loader/entry.conf", Sound["loader/entry.conf"]).Template, Make("loader/entry.conf", Sound["loader/entry.conf"].Replace("9999", "9071", StringComparison.Ordinal)).Template);

    [Theory]
    [InlineData("slot/boot.env", $"root=PARTUUID={Uuid}", "root=LABEL=root-a", "has root=LABEL=root-a in its command line, which is not the partition root-a by its id or name")]
    [InlineData("slot/boot.env", $"root=PARTUUID={Uuid}", "root=/dev/mmcblk0p2", "has root=/dev/mmcblk0p2 in its command line, which is not the partition root-a by its id or name")]
    [InlineData("slot/boot.env", $"root=PARTUUID={Uuid} ", "", "has 0 words root= in its command line instead of one")]
    [InlineData("slot/boot.env", " ro ", $" ro root=PARTUUID={Uuid} ", "has 2 words root= in its command line instead of one")]
    [InlineData("slot/boot.env", " osbuild.slot=a", "", "has 0 words osbuild.slot=a in its command line instead of one")]
    [InlineData("slot/boot.env", " ro ", " ro osbuild.slot=a ", "has 2 words osbuild.slot=a in its command line instead of one")]
    [InlineData("slot/boot.env", "osbuild.slot=a", "osbuild.slot=a osbuild.slot=b", "has osbuild.slot=b in its command line, which names slot a where only the builder would")]
    [InlineData("slot/boot.env", " ro ", $" ro resume=PARTUUID={Uuid} ", $"has resume=PARTUUID={Uuid} in its command line, which names slot a where only the builder would")]
    [InlineData("slot/boot.env", "devicetree=slot-a/board.dtb", "devicetree=overlays/board.dtb", "takes \"overlays/board.dtb\", which is not in slot-a")]
    [InlineData("slot/boot.env", "kernel=slot-a/Image\n", "", "has 0 lines with kernel instead of one")]
    [InlineData("slot/boot.env", "kernel=slot-a/Image\n", "kernel=slot-a/Image\nkernel=slot-a/Other\n", "has 2 lines with kernel instead of one")]
    [InlineData("slot/boot.env", "kernel=slot-a/Image\n", "kernel=slot-a/Image\nlogo=slot-a/logo.bmp\n", "names slot a in the line \"logo=slot-a/logo.bmp\", where no loader reads it")]
    [InlineData("slot/boot.env", " ro ", " ro nonsense=@SLOT@ ", "has one of the words @SLOT@, @ROOT@ and @SORT@, which stand for what the device fills in")]
    [InlineData("slot/grub.cfg", "linux /slot-a/bzImage", "linux /bzImage", "takes \"/bzImage\", which is not in slot-a")]
    [InlineData("slot/grub.cfg", "/slot-a/microcode.cpio", "/microcode.cpio", "takes \"/microcode.cpio\", which is not in slot-a")]
    [InlineData("slot/grub.cfg", "linux ", "linux16 ", "has 0 lines with linux instead of one")]
    [InlineData("loader/entry.conf", "sort-key osbuild-9999", "sort-key osbuild", "has the sort-key \"osbuild\" instead of osbuild-NUMBER")]
    [InlineData("loader/entry.conf", "sort-key osbuild-9999\n", "", "has 0 lines with sort-key instead of one")]
    [InlineData("loader/entry.conf", "/slot-a/initramfs", "/slot-a/../slot-a/initramfs", "takes \"/slot-a/../slot-a/initramfs.cpio.zst\", which is not in slot-a")]
    [InlineData("loader/config.txt", "os_prefix=slot-a/\n", "", "has 0 lines with os_prefix instead of one")]
    [InlineData("loader/config.txt", "os_prefix=slot-a/", "os_prefix=slot-b/", "takes \"slot-b/\", which is not in slot-a")]
    [InlineData("slot/cmdline.txt", "\n", "\nquiet\n", "has 2 command lines instead of one")]
    public void A_text_that_names_its_slot_in_another_way_is_refused(string path, string from, string to, string what)
    {
        var made = Make(path, Sound[path].Replace(from, to, StringComparison.Ordinal));
        Assert.Null(made.Template);
        Assert.Contains($"{path} of slot a {what}; so it cannot be made to fit the other slot: build the image again.", made.Problems);
    }

    [Theory]
    [InlineData("root-a", null)]
    [InlineData("root-a", "root-c")]
    [InlineData("first", "second")]
    public void Names_that_differ_in_more_than_their_letter_cannot_be_filled_in(string a, string? b)
    {
        var text = Sound["slot/cmdline.txt"].Replace($"PARTUUID={Uuid}", "PARTLABEL=" + a, StringComparison.Ordinal);
        Assert.Equal([$"slot/cmdline.txt of slot a has root=PARTLABEL={a} in its command line, which is not the partition {a} by its id or name; so it cannot be made to fit the other slot: build the image again."],
            Make("slot/cmdline.txt", text, new(Uuid, a, b)).Problems);
    }

    /// <summary>Whatever a text has become: it is refused, or what the device makes of it for slot a is the text itself, and for slot b has nothing of slot a.</summary>
    [Theory]
    [MemberData(nameof(Paths))]
    public void No_changed_text_brings_slot_a_into_slot_b(string path)
    {
        string[] pieces = ["slot-a/", "/slot-a/x ", "osbuild.slot=a", " osbuild.slot=b ", $"root=PARTUUID={Uuid}", "root=", "linux ", "options ", "bootargs=", "initrd=slot-a/y\n", "@SLOT@", "@ROOT@", "@SORT@", "\n", " ", "\r", "="];
        var (random, kept) = (new Random(5), 0);
        for (var turn = 0; turn < 20_000; turn++)
        {
            var text = Sound[path];
            for (var change = random.Next(1, 3); change > 0; change--)
            {
                var at = random.Next(text.Length + 1);
                text = text[..at] + (random.Next(2) == 0 ? pieces[random.Next(pieces.Length)] : "") + text[Math.Min(text.Length, at + random.Next(0, 12))..];
            }

            var made = Make(path, text);
            Assert.Equal(made.Template is null, made.Problems.Count > 0);
            if (made.Template is not { } template) continue;
            kept++;
            var b = SlotText.Fill(template, "b", OtherUuid, "9998");
            foreach (var word in (string[])["slot-a/", "osbuild.slot=a", Uuid, "@SLOT@", "@ROOT@", "@SORT@"]) Assert.DoesNotContain(word, b, StringComparison.Ordinal);
            if (path.EndsWith(".conf", StringComparison.Ordinal)) continue;
            Assert.Equal(text, SlotText.Fill(template, "a", Uuid, "9999"));
        }

        Assert.InRange(kept, 100, 19_000);
    }
}
