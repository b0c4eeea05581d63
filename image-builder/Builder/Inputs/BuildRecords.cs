using System.Text.Json;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Reads what bitbake writes down beside an image.</summary>
internal static class BuildRecords
{
    /// <summary>Reads the file; a problem and null when it is torn or something else.</summary>
    public static TestData? Variables(InputFile file, Problems problems)
    {
        try
        {
            using var json = JsonDocument.Parse(file.ReadAll());
            if (json.RootElement.ValueKind == JsonValueKind.Object)
            {
                return new TestData(json.RootElement.EnumerateObject()
                    .Where(p => p.Value.ValueKind == JsonValueKind.String)
                    .ToDictionary(p => p.Name, p => p.Value.GetString()!));
            }
        }
        catch (JsonException e)
        {
            problems.Add($"{file.Name} is not sound JSON from line {e.LineNumber + 1} on; it was cut short or changed by hand, deploy the image again.");
            return null;
        }

        problems.Add($"{file.Name} is not an object of variables as bitbake writes it; deploy the image again.");
        return null;
    }

    /// <summary>Reads a manifest; a problem and an empty list when it is something else.</summary>
    public static IReadOnlyList<Package> Manifest(InputFile file, Problems problems)
    {
        var packages = new List<Package>();
        var line = 0;
        foreach (var text in File.ReadLines(file.Path))
        {
            line++;
            if (string.IsNullOrWhiteSpace(text)) continue;
            if (text.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var name, var arch, var version])
            {
                packages.Add(new Package(name, arch, version));
                continue;
            }

            problems.Add($"{file.Name} line {line} is not \"package arch version\" as bitbake writes it; deploy the image again.");
            return [];
        }

        return packages;
    }
}
