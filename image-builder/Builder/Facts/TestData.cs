namespace OsBuild.ImageBuilder.Facts;

/// <summary>The variables of an image recipe as bitbake dumps them beside the image (<c>IMAGE-MACHINE.testdata.json</c>): one flat object of strings.</summary>
internal sealed class TestData(IReadOnlyDictionary<string, string> values)
{
    /// <summary>What a build without testdata.json knows: nothing.</summary>
    public static readonly TestData None = new(new Dictionary<string, string>());

    public string? this[string variable] => values.TryGetValue(variable, out var value) && value.Trim() is { Length: > 0 } text ? text : null;

    public IEnumerable<string> Variables => values.Keys;
}

/// <summary>One line of an image manifest: <c>package arch version</c>.</summary>
internal sealed record Package(string Name, string Arch, string Version);
