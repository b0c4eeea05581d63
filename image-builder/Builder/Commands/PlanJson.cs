using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.ImageBuilder.Commands;

/// <summary>A plan as one JSON object.</summary>
internal static class PlanJson
{
    public static void Write(ImagePlan plan, Reporter reporter) => reporter.Line(w =>
    {
        w.WriteString("board", plan.Board.Name);
        w.WriteString("file", plan.FileName);
        w.WriteNumber("size", plan.Disk.Size);
        w.WriteString("version", plan.Inputs.System.Version);
        w.WriteString("kernel", plan.Inputs.System.Kernel);
        w.WriteString("build", plan.Identity.BuildId);
        w.WriteString("commandLine", plan.CommandLine);
        w.WriteStartArray("partitions");
        foreach (var partition in plan.Disk.Partitions)
        {
            w.WriteStartObject();
            w.WriteNumber("number", partition.Number);
            w.WriteString("name", partition.Spec.Name);
            w.WriteNumber("offset", partition.Offset);
            w.WriteNumber("size", partition.Size);
            if (plan.FileSystems.FirstOrDefault(f => f.Partition == partition) is { } fs)
            {
                w.WriteString("fs", Words.FileSystem.Of(fs.Kind));
                w.WriteNumber("needs", fs.Need);
                w.WriteNumber("room", fs.Room);
            }

            w.WriteEndObject();
        }

        w.WriteEndArray();
        w.WriteStartArray("boot");
        foreach (var entry in plan.Boot)
        {
            w.WriteStartObject();
            w.WriteString("path", entry.Path);
            w.WriteNumber("size", entry.Source.Size);
            w.WriteString("from", entry.Source.ToString());
            w.WriteEndObject();
        }

        w.WriteEndArray();
    });
}
