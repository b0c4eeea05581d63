using System.CommandLine;
using System.CommandLine.Invocation;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Commands;

/// <summary>The commands and their options: what the user may type, and what is called then.</summary>
internal sealed class CommandTree(string version, Stream standardOutput, TextWriter output, TextWriter errors, bool terminal, long now, CancellationToken cancel)
{
    private readonly Option<bool> _json = new("--json") { Description = "One JSON object per line instead of text.", Recursive = true };

    /// <summary>Runs what was typed; exit code 2 when it cannot be understood.</summary>
    public int Run(IReadOnlyList<string> arguments)
    {
        var root = Root();
        var parsed = root.Parse(arguments);
        if (parsed.CommandResult.Command is RootCommand && parsed.UnmatchedTokens is [var word, ..] && !word.StartsWith('-')) return NoCommand(word, root, parsed);
        // Nothing typed is a question; a slip of the hand is answered with what is wrong, not with a page of help.
        var slip = parsed.Errors.Count > 0 && arguments.Count > 0;
        if (slip && parsed.Action is ParseErrorAction action) action.ShowHelp = false;
        var code = parsed.Invoke(new InvocationConfiguration { Output = output, Error = errors });
        if (slip) errors.WriteLine($"`{string.Join(' ', (string[])["image-builder", .. parsed.CommandResult.Command is RootCommand ? [] : (string[])[parsed.CommandResult.Command.Name], "--help"])}` shows what can be typed.");
        return parsed.Errors.Count > 0 ? 2 : code;
    }

    private int NoCommand(string word, RootCommand root, ParseResult parsed) => Reporter(parsed).Run(() => throw new RefusedException(
        $"There is no command {word}; {(Nearest.To(word, root.Subcommands.Select(c => c.Name)) is { } near ? $"did you mean {near}? " : "")}`image-builder --help` shows what there is."));

    public RootCommand Root()
    {
        var root = new RootCommand(
            """
            Makes bootable disk images from a Yocto deploy directory, and works with them: no root, no loop devices, no other programs.

              image-builder boards                                       which boards there are
              image-builder build BOARD --deploy DIR --plan              what would be made
              image-builder build BOARD --deploy DIR --compose app.yaml  make it
              image-builder inspect IMAGE                                what is in it
              image-builder configure IMAGE --set hostname=kitchen       make it yours
              image-builder host-image IMAGE --tag NAME:TAG              the update for devices that run an older one

            Exit codes: 0 done, 1 failed or different, 2 refused before anything was written.
            """) { _json };
        root.Add(Build());
        root.Add(BoardsCommand.Create(_json, output, errors));
        root.Add(CheckBoardCommand.Create(_json, output, errors));
        root.Add(OnImage("inspect", "Show the partitions of an image and what is in them.", ImageCommands.Inspect));
        root.Add(OnPath("ls", "List a directory of a partition.", "/", (image, partition, path, reporter) => ImageCommands.List(image, partition, path, reporter)));
        root.Add(OnPath("cat", "Print a file of a partition.", null, (image, partition, path, _) => ImageCommands.Cat(image, partition, path, standardOutput)));
        root.Add(Extract());
        root.Add(OnImage("check", "Read everything in an image and tell what is wrong with it.", ImageCommands.Check));
        root.Add(Diff());
        root.Add(Configure());
        root.Add(Size());
        root.Add(HostImage());
        Lessons.AddTo(root);
        return root;
    }

    private Reporter Reporter(ParseResult parsed) => new(parsed.GetValue(_json), output, errors, terminal);

    private static Argument<string> Image() => new("IMAGE") { Description = "An image file, or a card it was written to." };

    private Command OnImage(string name, string what, Func<string, Reporter, int> run)
    {
        var image = Image();
        var command = new Command(name, what) { image };
        command.SetAction(parsed => Run(parsed, reporter => run(parsed.GetRequiredValue(image), reporter)));
        return command;
    }

    private Command OnPath(string name, string what, string? defaultPath, Func<string, string, string, Reporter, int> run)
    {
        var image = Image();
        Argument<string> partition = new("PARTITION") { Description = "Name or number of a partition." };
        Argument<string> path = new("PATH") { Description = "A path in it." };
        if (defaultPath is not null) path.DefaultValueFactory = _ => defaultPath;
        var command = new Command(name, what) { image, partition, path };
        command.SetAction(parsed => Run(parsed, r => run(parsed.GetRequiredValue(image), parsed.GetRequiredValue(partition), parsed.GetRequiredValue(path), r)));
        return command;
    }

    private Command Extract()
    {
        Option<string> to = new("--output") { Description = "Folder to copy to.", DefaultValueFactory = _ => "." };
        var image = Image();
        Argument<string> partition = new("PARTITION") { Description = "Name or number of a partition." };
        Argument<string> path = new("PATH") { Description = "A file or directory in it." };
        var command = new Command("extract", "Copy a file or a tree out of an image.") { image, partition, path, to };
        command.SetAction(parsed => Run(parsed, r => ImageCommands.Extract(
            parsed.GetRequiredValue(image), parsed.GetRequiredValue(partition), parsed.GetRequiredValue(path), parsed.GetRequiredValue(to), r, cancel)));
        return command;
    }

    private Command Diff()
    {
        Argument<string> a = new("A") { Description = "An image." };
        Argument<string> b = new("B") { Description = "Another." };
        var command = new Command("diff", "Tell how two images differ: partitions, files, bytes.") { a, b };
        command.SetAction(parsed => Run(parsed, r => ImageCommands.Diff(parsed.GetRequiredValue(a), parsed.GetRequiredValue(b), r)));
        return command;
    }

    private Command Configure()
    {
        var image = Image();
        Option<string[]> set = new("--set") { Description = "KEY=VALUE: hostname, network.IFACE, ntp, wifi.*, ssh.authorized_keys, env.NAME, fleet=@config.json. An empty value removes the key, @FILE reads a file.", Required = true };
        var command = new Command("configure", "Put settings onto the boot partition of an image or a written card.") { image, set };
        command.SetAction(parsed => Run(parsed, r => ConfigureCommand.Run(parsed.GetRequiredValue(image), parsed.GetRequiredValue(set), now, r)));
        return command;
    }

    private Command Size()
    {
        var image = Image();
        Option<string?> picture = new("--picture") { Description = "Also draw it, as an SVG file." };
        Option<int> depth = new("--depth") { Description = "Levels of directories to show.", DefaultValueFactory = _ => 3 };
        var command = new Command("size", "Tell what makes an image big.") { image, picture, depth };
        command.SetAction(parsed => Run(parsed, r => SizeCommand.Run(parsed.GetRequiredValue(image), parsed.GetValue(picture), parsed.GetValue(depth), r)));
        return command;
    }

    private Command HostImage()
    {
        var image = Image();
        Option<string> tag = new("--tag") { Description = "Name of the container image: NAME:TAG.", Required = true };
        Option<string?> to = new("--output") { Description = "The file to make; NAME.host.tar beside the image unless given." };
        var command = new Command("host-image", "Make a container image of an image's system, with which devices update their host.") { image, tag, to };
        command.SetAction(parsed => Run(parsed, r => HostImageCommand.Run(parsed.GetRequiredValue(image), parsed.GetRequiredValue(tag), parsed.GetValue(to), r, cancel)));
        return command;
    }

    private Command Build()
    {
        Argument<string> board = new("BOARD") { Description = "A board of `image-builder boards`, or a path to a board file." };
        Option<string> deploy = new("--deploy") { Description = "Where bitbake deployed to: tmp/deploy/images/MACHINE.", Required = true };
        Option<string> folder = new("--output") { Description = "Folder for the image.", DefaultValueFactory = _ => "." };
        Option<string?> image = new("--image") { Description = "Which image, when the directory holds several (IMAGE_BASENAME)." };
        Option<string?> supervisor = new("--supervisor") { Description = "The supervisor binary; the one beside image-builder unless given." };
        Option<string?> compose = new("--compose") { Description = "A compose.yaml with the containers to run." };
        Option<string[]> load = new("--load") { Description = "A container image archive from docker save; may be given more than once." };
        Option<string?> config = new("--config") { Description = "A config.yaml for the device: hostname, network, keys." };
        Option<string> compress = new("--compress") { Description = "Compress the image: none, gz, xz or zst.", DefaultValueFactory = _ => "none" };
        compress.AcceptOnlyFromAmong("none", "gz", "xz", "zst");
        Option<string?> rootfs = new("--rootfs") { Description = "The root's file system instead of the board's own: ext4, or squashfs (compressed, read-only)." };
        rootfs.AcceptOnlyFromAmong("ext4", "squashfs");
        Option<string?> osList = new("--os-list") { Description = "Address of the folder the image will be fetched from: also write an os_list entry for Raspberry Pi Imager." };
        Option<bool> plan = new("--plan") { Description = "Print the layout and where each file comes from; write nothing." };
        var command = new Command("build", "Build an image for a board.") { board, deploy, folder, image, supervisor, compose, load, config, compress, rootfs, osList, plan };
        command.SetAction(parsed => Run(parsed, reporter => BuildCommand.Run(new()
        {
            Board = RootOf(parsed.GetValue(rootfs)) is { } root ? BoardOf(parsed.GetRequiredValue(board)).WithRoot(root) : BoardOf(parsed.GetRequiredValue(board)),
            Deploy = parsed.GetRequiredValue(deploy),
            Output = parsed.GetRequiredValue(folder),
            Image = parsed.GetValue(image),
            Supervisor = parsed.GetValue(supervisor),
            Compose = parsed.GetValue(compose),
            Config = parsed.GetValue(config),
            Load = parsed.GetValue(load) ?? [],
            Compress = parsed.GetValue(compress) switch { "gz" => Codec.Gzip, "xz" => Codec.Xz, "zst" => Codec.Zstd, _ => Codec.None },
            Rootfs = RootOf(parsed.GetValue(rootfs)),
            OsList = parsed.GetValue(osList),
            SourceDateEpoch = long.TryParse(Environment.GetEnvironmentVariable("SOURCE_DATE_EPOCH"), out var epoch) ? epoch : null,
            PlanOnly = parsed.GetValue(plan),
            BuilderVersion = version,
        }, reporter, cancel)));
        return command;
    }

    private int Run(ParseResult parsed, Func<Reporter, int> command)
    {
        var reporter = Reporter(parsed);
        return reporter.Run(() => command(reporter));
    }

    private static FileSystemKind? RootOf(string? word) => word is null ? null : Words.FileSystem.Find(word);

    private static Board BoardOf(string name) => BoardSource.Open(name) switch
    {
        ({ } board, _) => board,
        (_, var problems) => throw new RefusedException(problems),
    };
}
