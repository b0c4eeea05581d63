using System.Text;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Inspecting;
using OsBuild.Images.Fat;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder configure</c>: settings into config.yaml, a fleet's config into config.json, on the boot partition, in place.</summary>
internal static class ConfigureCommand
{
    public static int Run(string path, IReadOnlyList<string> set, long now, Reporter reporter)
    {
        var problems = new Problems();
        var settings = set.Select(s => ConfigKeys.Parse(s, f => File.Exists(f) ? File.ReadAllText(f) : null, problems)).OfType<Setting>().ToList();
        problems.ThrowIfAny();
        var changed = new List<string>();
        using (var image = OpenImage.Open(path, write: true))
        {
            var boot = image.Partitions.FirstOrDefault(p => p.FileSystem is FatReader && (p.Entry.Name is "boot" || string.Equals(p.FileSystem.Label, "boot", StringComparison.OrdinalIgnoreCase)))
                ?? throw new RefusedException($"{path} has no boot partition with FAT; it is not an image of this builder.");
            var editor = new FatEditor(boot.Content);
            void Write(string name, string? text)
            {
                var old = Paths.Text(boot.FileSystem!, name);
                if (old == text) return;
                if (text is null) editor.Delete(name);
                else editor.WriteFile(name, Encoding.UTF8.GetBytes(text), now);
                changed.Add(name);
            }

            var keys = settings.Where(s => s.Key != "fleet").ToList();
            if (keys.Count > 0) Write("config.yaml", ConfigKeys.Apply(Paths.Text(boot.FileSystem!, "config.yaml"), keys));
            foreach (var fleet in settings.Where(s => s.Key == "fleet")) Write("config.json", fleet.Value.Length == 0 ? null : fleet.Value + "\n");
            boot.Content.Flush();
        }

        if (changed.Count == 0) return reporter.Done($"{path}: it says so already, nothing was changed");
        Companions.Refresh(path);
        return reporter.Done($"{path}: {string.Join(" and ", changed)} written");
    }
}
