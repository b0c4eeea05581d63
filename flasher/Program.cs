using System.CommandLine;
using System.Runtime.InteropServices;
using OsBuild.Flasher.Commands;

using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Cancel);

var json = new Option<bool>("--json") { Description = "One JSON object per line, for scripts." };
var image = new Argument<string>("image") { Description = "The image, a file or an http(s) address: raw, .gz, .xz, .zst, .bz2 or .zip." };
var to = new Option<string[]>("--to") { Description = "The drive to write to; several may be named.", Required = true, AllowMultipleArgumentsPerToken = true };
var yes = new Option<bool>("--yes", "-y") { Description = "Do not ask." };
var noVerify = new Option<bool>("--no-verify") { Description = "Do not read the drive back. It is faster and finds no bad drive." };
var noMap = new Option<bool>("--no-map") { Description = "Write everything, also what the block map beside the image leaves out." };
var sha256 = new Option<string>("--sha256") { Description = "SHA-256 that the image must have; checked before anything is written." };
var noProbe = new Option<bool>("--no-probe") { Description = "Do not look for counterfeit capacity before writing." };
var eject = new Option<bool>("--eject") { Description = "Eject the drive when it is done." };
var allow = new Option<string>("--allow-system-disk") { Description = "Serial or model, in full, of a system disk that may be overwritten after all." };

var list = new Command("list", "Shows every drive and whether it may be written, with the reasons.") { json };
list.SetAction(parsed => ListCommand.Run(parsed.GetValue(json)));

var write = new Command("write", "Writes an image to one or more drives and reads it back.") { image, to, yes, noVerify, noMap, noProbe, sha256, eject, json, allow };
write.SetAction(parsed => WriteCommand.Write(Typed(parsed), stop.Token));

var verify = new Command("verify", "Compares a drive with an image; changes nothing.") { image, to, noMap, sha256, json };
verify.SetAction(parsed => WriteCommand.Verify(Typed(parsed), stop.Token));

var drive = new Argument<string>("drive") { Description = "The drive to copy from." };
var clone = new Command("clone", "Copies a whole drive to one or more others and reads them back.") { drive, to, yes, noVerify, eject, json, allow };
clone.SetAction(parsed => WriteCommand.Write(Typed(parsed) with { Image = parsed.GetValue(drive)!, FromDrive = true }, stop.Token));

var root = new RootCommand("Writes operating system images to cards and drives, and to nothing else.") { list, write, verify, clone };
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
    Sha256 = result.GetValue(sha256),
    AllowSystemDisk = result.GetValue(allow),
};

void Cancel(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
