using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.Flasher.Drives;
using OsBuild.Images;

namespace OsBuild.Flasher.Commands;

/// <summary>One line of <c>flasher list --json</c>.</summary>
internal sealed record DriveLine(
    string Device, long Size, string Model, string Serial, string Transport, bool Removable, string Verdict, IReadOnlyList<string> Reasons, IReadOnlyList<string> Warnings, IReadOnlyList<string> Holds)
{
    public static DriveLine Of(Disk disk, Verdict verdict) => new(
        disk.Device, disk.Size, disk.Model, disk.Serial, disk.Transport, disk.Removable, verdict.Ok ? "ok" : "refused", [.. verdict.Reasons.Select(r => r.Text)], verdict.Warnings, disk.Holds);
}

/// <summary>A line of progress. The check of the image comes before any device and has none.</summary>
internal sealed record ProgressLine(string? Device, string Phase, long Done, long? Total, long BytesPerSecond);

/// <summary>How one of several targets ended.</summary>
internal sealed record TargetLine(string Device, string Result, string Message, long Written, long Skipped, long Verified, long? FirstBadOffset);

/// <summary>The last line.</summary>
internal sealed record ResultLine(string Result, string Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DriveLine))]
[JsonSerializable(typeof(ProgressLine))]
[JsonSerializable(typeof(TargetLine))]
[JsonSerializable(typeof(ResultLine))]
internal sealed partial class OutputJson : JsonSerializerContext;

/// <summary>The list as people read it.</summary>
internal static class DriveTable
{
    public static IEnumerable<string> Lines(IReadOnlyList<(Disk Disk, Verdict Verdict)> disks)
    {
        if (disks.Count == 0) yield return "No drives.";
        var device = disks.Select(d => d.Disk.Device.Length).DefaultIfEmpty(6).Max();
        var model = Math.Min(32, disks.Select(d => d.Disk.Model.Length).DefaultIfEmpty(5).Max());
        foreach (var (disk, verdict) in disks)
        {
            var name = disk.Model.Length > model ? disk.Model[..(model - 1)] + "…" : disk.Model;
            yield return $"{disk.Device.PadRight(device)}  {new ByteSize(disk.Size),10}  {name.PadRight(model)}  {disk.Transport,-6}  {(verdict.Ok ? "ok" : "refused")}";
            foreach (var reason in verdict.Why()) yield return $"{"",4}- {reason}";
            foreach (var warning in verdict.Warnings.Where(_ => verdict.Ok)) yield return $"{"",4}! {warning}";
            if (disk.Holds.Count > 0) yield return $"{"",4}  holds {string.Join(", ", disk.Holds)}";
        }
    }
}
