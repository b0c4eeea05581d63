using System.Text.Json;
using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Commands;

/// <summary><c>flasher list</c>: every disk with its verdict.</summary>
internal static class ListCommand
{
    public static int Run(bool json) => WriteCommand.Guarded(json, () =>
    {
        var facts = Targets.Gather(null);
        var disks = facts.Disks.Select(d => (Disk: d, Verdict: Judge.Verdict(d, facts))).ToList();
        if (json)
            foreach (var (disk, verdict) in disks) Console.Out.WriteLine(JsonSerializer.Serialize(DriveLine.Of(disk, verdict), OutputJson.Default.DriveLine));
        else
            foreach (var line in DriveTable.Lines(disks)) Console.Out.WriteLine(line);
        return 0;
    });
}
