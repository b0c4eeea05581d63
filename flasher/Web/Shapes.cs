using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.Flasher.Choosing;
using OsBuild.Flasher.Commands;
using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Web;

/// <summary>A drive as the page shows it.</summary>
/// <param name="Id">Stands for this very disk: another one by the same name has another id.</param>
internal sealed record DriveShape(string Id, string Device, string Name, long Size, string Transport, string? Refusal, IReadOnlyList<string> Warnings, IReadOnlyList<string> Holds)
{
    public static DriveShape Of(Choice choice) => new(
        IdOf(choice), choice.Disk.Device, NameOf(choice.Disk), choice.Disk.Size, choice.Disk.Transport, choice.Refusal, choice.Verdict.Warnings, choice.Disk.Holds);

    /// <summary>What a person calls it; a loop device is called as its file.</summary>
    public static string NameOf(Disk disk) => disk.Model.Length == 0 ? "Drive without a name" : disk.Transport == "loop" ? System.IO.Path.GetFileName(disk.Model) : disk.Model;

    public static string IdOf(Choice choice) => Images.Copying.XxHash64.Hash(System.Text.Encoding.UTF8.GetBytes(choice.Identity)).ToString("x16");
}

/// <summary>What a chosen image is.</summary>
/// <param name="Size">Bytes of the decoded image, or null when not known before it is decoded.</param>
/// <param name="About">What is known of it, for a person.</param>
internal sealed record ImageShape(string Path, string Name, long? Size, IReadOnlyList<string> About);

/// <summary>One target of a running or ended write.</summary>
internal sealed record TargetShape(string Device, string Name, string Phase, double? Fraction, long Done, long BytesPerSecond, int? SecondsLeft, int Rewritten, string? Result, string? Message)
{
    public static TargetShape Of(TargetState state, string name) => new(
        state.Device, name, Names.Of(state.Phase), state.Fraction, state.Done, (long)state.BytesPerSecond, state.Left is { } left ? (int)left.TotalSeconds : null, state.RangesRewritten,
        state.Outcome is { } outcome ? Names.Of(outcome.Result) : null, state.Outcome?.Message);
}

/// <summary>A write, running or ended.</summary>
/// <param name="Image">Name of the image.</param>
/// <param name="Ended">Nothing more will come.</param>
/// <param name="Message">The sentence that ends it before any target was touched, or null.</param>
/// <param name="Checked">Part of the image that has been checked against what lies beside it, 0 to 1, while that goes on; then null.</param>
/// <param name="Targets">How each drive is doing.</param>
internal sealed record JobShape(string Image, bool Ended, string? Message, double? Checked, IReadOnlyList<TargetShape> Targets);

/// <summary>A folder of this computer.</summary>
internal sealed record FolderShape(string Path, string? Parent, IReadOnlyList<EntryShape> Entries, IReadOnlyList<EntryShape> Places);

internal sealed record EntryShape(string Name, string Path, bool Folder, long Size);

internal sealed record ErrorShape(string Error);

internal sealed record ImageQuestion(string Path);

internal sealed record FindQuestion(string Name, long Size);

/// <summary>Stops one target of a write by its place, or all of them.</summary>
internal sealed record CancelQuestion(int? Target = null);

/// <summary>What the page sends to start a write.</summary>
internal sealed record WriteQuestion
{
    // Set, not init: what the page leaves out keeps its value here.
    public string Image { get; set; } = "";

    public string? Sha256 { get; set; }

    public IReadOnlyList<string> Drives { get; set; } = [];

    public bool Verify { get; set; } = true;

    public bool Eject { get; set; }

    public IReadOnlyDictionary<string, string> Settings { get; set; } = new Dictionary<string, string>();

    public string? ConfigJson { get; set; }

    public string? Compose { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(IReadOnlyList<DriveShape>))]
[JsonSerializable(typeof(ImageShape))]
[JsonSerializable(typeof(JobShape))]
[JsonSerializable(typeof(FolderShape))]
[JsonSerializable(typeof(ErrorShape))]
[JsonSerializable(typeof(ImageQuestion))]
[JsonSerializable(typeof(FindQuestion))]
[JsonSerializable(typeof(CancelQuestion))]
[JsonSerializable(typeof(WriteQuestion))]
internal sealed partial class WebJson : JsonSerializerContext;
