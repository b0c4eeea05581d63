using System.Text.Json;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>The variables of an image recipe as bitbake dumps them beside the image (<c>IMAGE-MACHINE.testdata.json</c>): one flat object of strings.</summary>
internal sealed class TestData
{
    /// <summary>What a build without testdata.json knows: nothing.</summary>
    public static readonly TestData None = new([]);

    private readonly Dictionary<string, string> _values;

    private TestData(Dictionary<string, string> values) => _values = values;

    public string? this[string variable] => _values.TryGetValue(variable, out var value) && value.Trim() is { Length: > 0 } text ? text : null;

    public IEnumerable<string> Variables => _values.Keys;

    /// <summary>Reads the file; a problem and null when it is torn or something else.</summary>
    public static TestData? Read(InputFile file, Problems problems)
    {
        try
        {
            using var json = JsonDocument.Parse(file.ReadAll());
            if (json.RootElement.ValueKind == JsonValueKind.Object)
            {
                return new(json.RootElement.EnumerateObject()
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
}

/// <summary>One line of an image manifest: <c>package arch version</c>.</summary>
internal sealed record Package(string Name, string Arch, string Version)
{
    /// <summary>Reads a manifest; a problem and an empty list when it is something else.</summary>
    public static IReadOnlyList<Package> ReadManifest(InputFile file, Problems problems)
    {
        var packages = new List<Package>();
        var line = 0;
        foreach (var text in File.ReadLines(file.Path))
        {
            line++;
            if (string.IsNullOrWhiteSpace(text)) continue;
            if (text.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var name, var arch, var version])
            {
                packages.Add(new(name, arch, version));
                continue;
            }

            problems.Add($"{file.Name} line {line} is not \"package arch version\" as bitbake writes it; deploy the image again.");
            return [];
        }

        return packages;
    }
}
