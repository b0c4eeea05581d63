using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace OsBuild.Tests.Repository;

/// <summary>Programs reference Images, never each other; Images touches no path, process, clock or native code; core does not name shell.</summary>
public sealed partial class DependencyRules
{
    [Theory]
    [InlineData("image-builder/Images/OsBuild.Images.csproj")]
    [InlineData("image-builder/Builder/OsBuild.ImageBuilder.csproj", "OsBuild.Images.csproj")]
    [InlineData("supervisor/OsBuild.Supervisor.csproj", "OsBuild.Images.csproj")]
    [InlineData("flasher/OsBuild.Flasher.csproj", "OsBuild.Images.csproj")]
    public void A_program_references_Images_only(string project, params string[] expected)
    {
        var references = XDocument.Load(Path.Combine(RepositoryTree.Root, project)).Descendants("ProjectReference")
            .Select(r => Path.GetFileName(((string)r.Attribute("Include")!).Replace('\\', '/')));
        Assert.Equal(expected, references);
    }

    [Fact]
    public void Images_opens_no_path_starts_no_process_reads_no_clock()
    {
        var broken = from file in RepositoryTree.Sources("image-builder/Images")
                     from line in File.ReadLines(file).Select((text, i) => (text, number: i + 1))
                     where ForbiddenInImages().IsMatch(StripComment(line.text))
                     select $"{Path.GetRelativePath(RepositoryTree.Root, file)}:{line.number}: {line.text.Trim()}";
        Assert.Empty(broken);
    }

    [Theory]
    [InlineData("supervisor/State", "Engine|Linux|Running|Api|Init|Network|Logs")]
    [InlineData("supervisor/Planning", "Engine|Linux|Running|Api|Init|Network|Logs")]
    [InlineData("image-builder/Builder/Facts", "Inputs|Planning|Building|Commands|Inspecting")]
    [InlineData("image-builder/Builder/Planning", "Inputs|Building|Commands|Inspecting")]
    public void The_core_does_not_name_the_shell(string folder, string shells)
    {
        if (!Directory.Exists(Path.Combine(RepositoryTree.Root, folder))) return;
        var pattern = new Regex($@"^using OsBuild\.\w+\.({shells})\b");
        Assert.Empty(RepositoryTree.Sources(folder).Where(f => File.ReadLines(f).Any(l => pattern.IsMatch(l)))
            .Select(f => Path.GetRelativePath(RepositoryTree.Root, f)));
    }

    [Fact]
    public void The_top_level_is_what_the_users_fixed()
    {
        string[] allowed = ["image-builder", "supervisor", "board-configs", "flasher", "tests", "OsBuild.sln", "README.md", "LICENSE", "build.sh"];
        Assert.DoesNotContain(RepositoryTree.TrackedFiles.Select(f => f.Split('/')[0]), f => !f.StartsWith('.') && !allowed.Contains(f));
    }

    private static string StripComment(string line) => line.IndexOf("//", StringComparison.Ordinal) is >= 0 and var at ? line[..at] : line;

    [GeneratedRegex(@"\b(File\.(Open|Read|Write|Create|Delete|Exists|Move)\w*|Directory\.\w+|FileStream|Process\.Start|ProcessStartInfo|(Dll|Library)Import|HttpClient|new Socket\(|DateTime(Offset)?\.(Utc)?Now|TimeProvider\.System|Guid\.NewGuid|Random\.Shared|Console\.)")]
    private static partial Regex ForbiddenInImages();
}
