using OsBuild.Flasher.Writing;
using OsBuild.Images;
using OsBuild.Images.Configuration;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Sources;

/// <summary>Settings for one device, put into the boot partition while the image is written: the keys of <c>image-builder configure</c>.</summary>
internal static class BootSettings
{
    /// <summary>1980-01-01, where FAT's time begins. The same settings always give the same bytes, so that an interrupted write goes on
    /// and <c>verify --set</c> compares.</summary>
    private const long Time = 315532800;

    /// <summary>Reads what was typed: <c>--set KEY=VALUE</c>, <c>--config-json FILE</c>, <c>--compose FILE</c>.</summary>
    /// <exception cref="RefusedException">Something of it is wrong; all of it is named.</exception>
    public static BootConfiguration Parse(IReadOnlyList<string> set, string? configJson, string? compose)
    {
        List<Setting> settings = [];
        List<string> problems = [];
        foreach (var text in configJson is null ? set : [.. set, $"fleet=@{configJson}"])
        {
            if (ConfigKeys.Parse(text, ReadText, out var problem) is { } setting) settings.Add(setting);
            else problems.Add($"--set {problem}.");
        }

        var app = compose is null ? null : ReadText(compose);
        if (compose is not null && app is null) problems.Add($"--compose: there is no file {compose}.");
        else if (app is not null && BootConfiguration.WrongCompose(app) is { } wrong) problems.Add($"--compose {compose}: {wrong}.");
        if (problems.Count > 0) throw new RefusedException(string.Join(' ', problems) + " Nothing was written.");
        return new BootConfiguration { Settings = settings, Compose = app };
    }

    /// <summary>The same from texts that a page has sent: no file is read.</summary>
    /// <exception cref="RefusedException">Something of it is wrong; all of it is named.</exception>
    public static BootConfiguration FromTexts(IReadOnlyDictionary<string, string> settings, string? configJson, string? compose)
    {
        List<Setting> typed = [.. settings.Where(s => s.Value.Length > 0).Select(s => new Setting(s.Key, s.Value.Trim()))];
        if (!string.IsNullOrWhiteSpace(configJson)) typed.Add(new Setting("fleet", configJson.Trim()));
        var app = string.IsNullOrWhiteSpace(compose) ? null : compose;
        List<string> problems = [.. typed.Select(s => (s.Key, Wrong: ConfigKeys.Wrong(s.Key, s.Value))).Where(p => p.Wrong is not null).Select(p => $"{p.Key}: {p.Wrong}.")];
        if (app is not null && BootConfiguration.WrongCompose(app) is { } wrong) problems.Add($"compose.yaml: {wrong}.");
        if (problems.Count > 0) throw new RefusedException(string.Join(' ', problems) + " Nothing was written.");
        return new BootConfiguration { Settings = typed, Compose = app };
    }

    /// <summary>The same image with these settings in its boot partition.</summary>
    /// <exception cref="RefusedException">The image has no boot partition that takes them.</exception>
    public static CopySource Configured(CopySource source, BootConfiguration configuration)
    {
        if (configuration.IsEmpty) return source;
        try
        {
            return source with { Edits = configuration.EditsFor(source.Open, source.Length, Time) };
        }
        catch (Exception e) when (e is ImageException or IOException or InvalidDataException)
        {
            throw new RefusedException($"{source.Name} cannot be configured: {e.Message.TrimEnd('.')}. Nothing was written.");
        }
    }

    private static string? ReadText(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException($"{path} cannot be read: {e.Message.TrimEnd('.')}. Nothing was written.");
        }
    }
}
