using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace OsBuild.ImageBuilder.Commands;

/// <summary>What <c>--help</c> says beyond the options: examples to copy, and what happens. Every example is a command line that parses.</summary>
internal static class Lessons
{
    /// <summary>By command.</summary>
    public static readonly IReadOnlyDictionary<string, string> Of = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["build"] = """
            Examples:
              image-builder build raspberrypi4 --deploy tmp/deploy/images/raspberrypi4-64 --plan
              image-builder build raspberrypi4 --deploy tmp/deploy/images/raspberrypi4-64 --compose compose.yaml --load shop.tar
              image-builder build qemux86-64 --deploy deploy --rootfs squashfs --compress zst --output images
              image-builder build raspberrypi5 --deploy deploy --compress xz --os-list https://example.com/images

            It leaves NAME.img (sparse; or .img.zst, .gz, .xz), NAME.img.bmap (which blocks matter, each with SHA-256), NAME.img.json (what it
            is) and NAME.img.cdx.json (bill of materials). The same inputs give the same bytes. Run again, it does what is needed: nothing, or
            the boot partition only when the config, the compose file, a container or a boot file changed. What is wrong with the inputs is told
            all at once, before anything is written. SOURCE_DATE_EPOCH sets the time of everything made.
            """,
        ["boards"] = """
            Examples:
              image-builder boards
              image-builder boards raspberrypi4
              image-builder boards ./my-board.yaml --json

            "proven-qemu" boards were booted in QEMU by the tests; of "layout-only" boards the layout was checked and nothing was booted.
            """,
        ["check-board"] = """
            Examples:
              image-builder check-board my-board.yaml

            A board file is a few lines over a family: see board-configs/README.md.
            """,
        ["inspect"] = """
            Examples:
              image-builder inspect core-image-base-raspberrypi4-64.img
              image-builder inspect /dev/sda --json
            """,
        ["ls"] = """
            Examples:
              image-builder ls image.img boot
              image-builder ls image.img root-a /etc
              image-builder ls image.img 2 /usr/lib --json

            PARTITION is a name or a number of `image-builder inspect`. Symbolic links on the way are followed inside the partition.
            """,
        ["cat"] = """
            Examples:
              image-builder cat image.img root-a /etc/os-release
              image-builder cat image.img boot config.yaml
            """,
        ["extract"] = """
            Examples:
              image-builder extract image.img root-a /etc --output copy
              image-builder extract image.img boot / --output bootfiles

            Files keep their modes, links stay links; devices, pipes and sockets are left out and counted.
            """,
        ["check"] = """
            Examples:
              image-builder check image.img

            Reads every file system to its last block by the builder's own readers. Exit code 1 when there is a finding.
            """,
        ["diff"] = """
            Examples:
              image-builder diff old.img new.img

            Lines begin with the partition: + only in the second, - only in the first, ! changed and how. Exit code 1 when they differ.
            """,
        ["configure"] = """
            Examples:
              image-builder configure image.img --set hostname=kitchen --set env.SHOP=7
              image-builder configure /dev/sda --set wifi.ssid=Home --set wifi.psk=secret-words --set wifi.country=DE
              image-builder configure image.img --set network.eth0.address=192.168.1.20/24 --set network.eth0.gateway=192.168.1.1
              image-builder configure image.img --set ssh.authorized_keys=@id_ed25519.pub --set fleet=@config.json

            Settings go into config.yaml on the boot partition, a fleet's config.json beside it. What stands there already and is not named
            stays. The block map and the description beside the image follow.
            """,
        ["host-image"] = """
            Examples:
              image-builder host-image core-image-base-raspberrypi4-64.img --tag registry.example.com/host:12
              image-builder host-image image.img --tag host:12 --output host.tar

            It makes an archive for `docker load -i`, then `docker push`; on the device the supervisor writes it into the slot that does not run,
            tries it, and goes back when it does not prove itself. It has the root, the kernel and what the loader reads of them, but neither
            loader, firmware, containers nor settings: those stay as they are. With --rootfs squashfs the image and its update are smallest.
            """,
        ["size"] = """
            Examples:
              image-builder size image.img --depth 4
              image-builder size image.img --picture size.svg
            """,
    };

    /// <summary>Adds the lessons to the help of all commands.</summary>
    public static void AddTo(RootCommand root)
    {
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new Teaching((HelpAction)help.Action!);
    }

    private sealed class Teaching(HelpAction plain) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var code = plain.Invoke(parseResult);
            if (Of.TryGetValue(parseResult.CommandResult.Command.Name, out var lesson)) parseResult.InvocationConfiguration.Output.WriteLine(lesson);
            return code;
        }
    }
}
