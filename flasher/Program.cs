using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Runtime.InteropServices;
using OsBuild.Flasher.Commands;

using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Cancel);

var json = new Option<bool>("--json") { Description = "One JSON object per line, for scripts." };
var image = new Argument<string>("image") { Description = "The image, a file or an http(s) address: raw, .gz, .xz, .zst, .bz2 or .zip." };
var to = new Option<string[]>("--to") { HelpName = "DRIVE", Description = "The drive to write to; several may be named. Without it, choose from a list.", AllowMultipleArgumentsPerToken = true };
var yes = new Option<bool>("--yes", "-y") { Description = "Do not ask." };
var noVerify = new Option<bool>("--no-verify") { Description = "Do not read the drive back. It is faster and finds no bad drive." };
var noMap = new Option<bool>("--no-map") { Description = "Write everything, also what the block map beside the image leaves out." };
var timeout = new Option<int>("--timeout") { HelpName = "SECONDS", Description = "Seconds after which a drive or server that does not answer is given up.", DefaultValueFactory = _ => 120 };
timeout.Validators.Add(Numbers(1, int.MaxValue, "--timeout is a number of seconds, such as 120."));
var sha256 = new Option<string>("--sha256") { HelpName = "HEX", Description = "SHA-256 that the image must have; checked before anything is written." };
var set = new Option<string[]>("--set") { HelpName = "KEY=VALUE", Description = "A setting for this device, KEY=VALUE (@FILE for a value from a file): hostname, network.eth0.address, wifi.ssid, wifi.psk, ssh.authorized_keys, ..." };
var configJson = new Option<string>("--config-json") { HelpName = "FILE", Description = "The config.json of a fleet, for the boot partition." };
var compose = new Option<string>("--compose") { HelpName = "FILE", Description = "The compose.yaml of an app, for the boot partition." };
var noProbe = new Option<bool>("--no-probe") { Description = "Do not look for counterfeit capacity before writing." };
var eject = new Option<bool>("--eject") { Description = "Eject the drive when it is done." };
var allow = new Option<string>("--allow-system-disk") { HelpName = "SERIAL", Description = "Serial or model, in full, of a system disk that may be overwritten after all." };

var list = new Command("list", "Shows every drive and whether it may be written, with the reasons.") { json };
list.SetAction(parsed => ListCommand.Run(parsed.GetValue(json)));

var write = new Command("write", "Writes an image to one or more drives and reads it back.") { image, to, yes, noVerify, noMap, noProbe, sha256, set, configJson, compose, eject, timeout, json, allow };
write.SetAction(parsed => WriteCommand.Write(Typed(parsed), stop.Token));

var verify = new Command("verify", "Compares a drive with an image; changes nothing.") { image, to, noMap, sha256, set, configJson, compose, timeout, json };
verify.SetAction(parsed => WriteCommand.Verify(Typed(parsed), stop.Token));

var check = new Command("check", "Reads an image to its end and compares it with what lies beside it (.bmap, .img.json, .sha256); needs no drive.") { image, sha256, json };
check.SetAction(parsed => CheckCommand.Run(parsed.GetValue(image)!, parsed.GetValue(sha256), parsed.GetValue(json), stop.Token));

var drive = new Argument<string>("drive") { Description = "The drive to copy from." };
var clone = new Command("clone", "Copies a whole drive to one or more others and reads them back.") { drive, to, yes, noVerify, eject, timeout, json, allow };
clone.SetAction(parsed => WriteCommand.Write(Typed(parsed) with { Image = parsed.GetValue(drive)!, FromDrive = true }, stop.Token));

var port = new Option<int>("--port") { HelpName = "N", Description = "Port of the page; without it any that is free." };
port.Validators.Add(Numbers(0, 65535, "--port is a number up to 65535, such as 8080."));
var noBrowser = new Option<bool>("--no-browser") { Description = "Print the address and open nothing." };
var ui = new Command("ui", "Opens a page in the browser for choosing image and drive, on this computer only.") { port, noBrowser };
ui.SetAction(parsed => UiCommand.Run(parsed.GetValue(port), !parsed.GetValue(noBrowser), stop.Token));

var root = new RootCommand("Writes operating system images to cards and drives, and to nothing else.") { list, write, verify, check, clone, ui };
if (args.Length == 0)
{
    root.Parse("--help").Invoke();
    return 2;
}

var parsed = root.Parse(args);
if (parsed.Errors.Count == 0) return parsed.Invoke();
foreach (var error in parsed.Errors) Console.Error.WriteLine($"flasher: {error.Message}");
Console.Error.WriteLine("flasher --help shows what there is.");
return 2;

WriteArguments Typed(ParseResult result) => new()
{
    Image = result.GetValue(image) ?? "",
    To = result.GetValue(to) ?? [],
    Yes = result.GetValue(yes),
    Verify = !result.GetValue(noVerify),
    UseMap = !result.GetValue(noMap),
    Json = result.GetValue(json),
    Probe = !result.GetValue(noProbe),
    Eject = result.GetValue(eject),
    Timeout = TimeSpan.FromSeconds(result.GetValue(timeout)),
    Sha256 = result.GetValue(sha256),
    Set = result.GetValue(set) ?? [],
    ConfigJson = result.GetValue(configJson),
    Compose = result.GetValue(compose),
    AllowSystemDisk = result.GetValue(allow),
};

Action<OptionResult> Numbers(int least, int most, string otherwise) => result =>
{
    if (result.Tokens is [var token] && !(int.TryParse(token.Value, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)) result.AddError(otherwise);
};

void Cancel(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
