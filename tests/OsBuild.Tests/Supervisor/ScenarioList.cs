using System.Text.RegularExpressions;
using OsBuild.Tests.Repository;

namespace OsBuild.Tests.Supervisor;

/// <summary>The page of scenarios names tests that exist, and every test named after a scenario is on it.</summary>
public sealed partial class ScenarioList
{
    private static readonly string[] Page = File.ReadAllLines(Path.Combine(RepositoryTree.Root, "supervisor/Planning/SCENARIOS.md"));

    private static HashSet<string> Tests => [.. new[] { "tests/OsBuild.Tests", "tests/OsBuild.OracleTests", "tests/OsBuild.SystemTests" }.SelectMany(RepositoryTree.Sources)
        .SelectMany(f => Method().Matches(File.ReadAllText(f)).Select(m => m.Groups[1].Value))];

    private static IEnumerable<(string Numbers, List<string> Tests)> Rows => Page.Where(l => Row().IsMatch(l)).Select(l => (l.Split('|')[1].Trim(), Name().Matches(l).Select(m => m.Groups[1].Value).ToList()));

    [Fact]
    public void Every_test_on_the_page_exists() => Assert.Empty(Rows.SelectMany(r => r.Tests).Except(Tests));

    [Fact]
    public void Every_test_with_a_number_is_on_the_page_at_that_number()
    {
        var missing = from test in Tests
                      let number = Number().Match(test)
                      where number.Success
                      from n in number.Value[1..].Split('_', StringSplitOptions.RemoveEmptyEntries)
                      where !Rows.Any(r => r.Numbers == int.Parse(n).ToString() && r.Tests.Contains(test))
                      select $"{n}: {test}";
        Assert.Empty(missing);
    }

    [Fact]
    public void The_page_counts_every_scenario_once() => Assert.Equal(Enumerable.Range(1, 101), Rows.SelectMany(r => r.Numbers.Split('-') is [var a, var b] ? Enumerable.Range(int.Parse(a), int.Parse(b) - int.Parse(a) + 1) : [int.Parse(r.Numbers)]));

    [GeneratedRegex(@"^\| \d+(-\d+)? \|")]
    private static partial Regex Row();

    [GeneratedRegex(@"`([A-Za-z0-9_]+)`")]
    private static partial Regex Name();

    [GeneratedRegex(@"public (?:async )?(?:void|Task) (\w+)\(")]
    private static partial Regex Method();

    [GeneratedRegex(@"^S(\d{2,3})(_\d{2,3})*(?=_)")]
    private static partial Regex Number();
}
