using System.CommandLine;
using System.Reflection;
using System.Runtime.InteropServices;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Commands;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder;

/// <summary>The command tree: options in, a call, an exit code out (0 done, 1 failed, 2 refused before anything was written).</summary>
internal static class Program
{
    private static readonly Option<bool> Json = new("--json") { Description = "One JSON object per line instead of text.", Recursive = true };

    public static int Main(string[] arguments)
    {
        using var cancel = new CancellationTokenSource();
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            cancel.Cancel();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        var root = new RootCommand("Makes bootable disk images from a Yocto deploy directory: no root, no loop devices, no other programs.") { Json };
        root.Add(Build(cancel.Token));
        var parsed = root.Parse(arguments);
        var code = parsed.Invoke();
        return parsed.Errors.Count > 0 ? 2 : code;
    }

    private static Command Build(CancellationToken cancel)
    {
        Argument<string> board = new("board") { Description = "A board of `image-builder boards`, or a path to a board file." };
        Option<string> deploy = new("--deploy") { Description = "Where bitbake deployed to: tmp/deploy/images/MACHINE.", Required = true };
        Option<string> output = new("--output") { Description = "Folder for the image.", DefaultValueFactory = _ => "." };
        Option<string?> image = new("--image") { Description = "Which image, when the directory holds several (IMAGE_BASENAME)." };
        Option<string?> supervisor = new("--supervisor") { Description = "The supervisor binary; the one beside image-builder unless given." };
        Option<string?> compose = new("--compose") { Description = "A compose.yaml with the containers to run." };
        Option<string[]> load = new("--load") { Description = "A container image archive from docker save; may be given more than once." };
        Option<string?> config = new("--config") { Description = "A config.yaml for the device: hostname, network, keys." };
        Option<string> compress = new("--compress") { Description = "Compress the image: none, gz, xz or zst.", DefaultValueFactory = _ => "none" };
        compress.AcceptOnlyFromAmong("none", "gz", "xz", "zst");
        Option<bool> plan = new("--plan") { Description = "Print the layout and where each file comes from; write nothing." };
        var command = new Command("build", "Build an image for a board.") { board, deploy, output, image, supervisor, compose, load, config, compress, plan };
        command.SetAction(parsed => Reporter(parsed).Run(() => BuildCommand.Run(new()
        {
            Board = BoardOf(parsed.GetRequiredValue(board)),
            Deploy = parsed.GetRequiredValue(deploy),
            Output = parsed.GetRequiredValue(output),
            Image = parsed.GetValue(image),
            Supervisor = parsed.GetValue(supervisor),
            Compose = parsed.GetValue(compose),
            Config = parsed.GetValue(config),
            Load = parsed.GetValue(load) ?? [],
            Compress = parsed.GetValue(compress) switch { "gz" => Codec.Gzip, "xz" => Codec.Xz, "zst" => Codec.Zstd, _ => Codec.None },
            SourceDateEpoch = long.TryParse(Environment.GetEnvironmentVariable("SOURCE_DATE_EPOCH"), out var epoch) ? epoch : null,
            PlanOnly = parsed.GetValue(plan),
            BuilderVersion = Version,
        }, Reporter(parsed), cancel)));
        return command;
    }

    private static string Version => typeof(Program).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    private static Reporter Reporter(ParseResult parsed) => new(parsed.GetValue(Json), Console.Out, Console.Error, !Console.IsErrorRedirected);

    private static Board BoardOf(string name)
    {
        if (!name.Contains('/') && !name.EndsWith(".yaml", StringComparison.Ordinal))
            return BoardCatalog.Find(name) is ({ } board, _) ? board : throw new RefusedException(BoardCatalog.Find(name).Problem!);
        if (!File.Exists(name)) throw new RefusedException($"There is no board file {name}; give a path, or a name of `image-builder boards`.");
        using var text = File.OpenText(name);
        var (read, diagnostics) = BoardFile.Read(text, name);
        return read ?? throw new RefusedException([.. diagnostics.Select(d => d.ToString())]);
    }
}
