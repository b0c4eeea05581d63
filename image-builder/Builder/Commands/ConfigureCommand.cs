using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Inspecting;
using OsBuild.Images;
using OsBuild.Images.Configuration;
using OsBuild.Images.Fat;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder configure</c>: settings into config.yaml, a fleet's config into config.json, on the boot partition, in place.</summary>
internal static class ConfigureCommand
{
    public static int Run(string path, IReadOnlyList<string> set, long now, Reporter reporter)
    {
        var settings = Parse(set);
        IReadOnlyList<string> changed;
        (long Offset, long Size) place;
        using (var image = OpenImage.Open(path, write: true))
        {
            var boot = image.Partitions.FirstOrDefault(p => p.FileSystem is FatReader && (p.Entry.Name is "boot" || string.Equals(p.FileSystem.Label, "boot", StringComparison.OrdinalIgnoreCase)))
                ?? throw new RefusedException($"{path} has no boot partition with FAT; it is not an image of this builder.");
            place = (boot.Entry.Offset, boot.Entry.Size);
            try
            {
                changed = new BootConfiguration { Settings = settings }.WriteTo(boot.Content, now);
            }
            catch (ImageException e)
            {
                throw new RefusedException($"{path}: {e.Message}");
            }

            boot.Content.Flush();
            image.Sync();
        }

        if (changed.Count == 0) return reporter.Done($"{path}: it says so already, nothing was changed");
        Companions.Refresh(path, place.Offset, place.Size);
        return reporter.Done($"{path}: {string.Join(" and ", changed)} written");
    }

    private static List<Setting> Parse(IReadOnlyList<string> set)
    {
        var problems = new Problems();
        List<Setting> settings = [];
        foreach (var text in set)
        {
            if (ConfigKeys.Parse(text, f => File.Exists(f) ? File.ReadAllText(f) : null, out var problem) is { } setting) settings.Add(setting);
            else problems.Add($"--set {problem}{Near(text.Split('=')[0])}.");
        }

        problems.ThrowIfAny();
        return settings;
    }

    private static string Near(string key) => ConfigKeys.IsKnown(key) ? "" : Nearest.Hint(key, ConfigKeys.Known);
}
