using System.Text.Json;
using OsBuild.Supervisor.Fleet;

namespace OsBuild.Tests.Supervisor.Fleet;

public sealed class ContractTests
{
    [Theory]
    [InlineData(">=19.0.0", "19.0.5", true)]
    [InlineData(">= 19.0.0", "19.0.5", true)]
    [InlineData(">19.0.5", "19.0.5", false)]
    [InlineData("<19", "18.9.9", true)]
    [InlineData("<19", "19.0.0", false)]
    [InlineData("<=19", "19.7.0", true)]
    [InlineData(">19", "19.7.0", false)]
    [InlineData(">19", "20.0.0", true)]
    [InlineData("^1.2.3", "1.9.0", true)]
    [InlineData("^1.2.3", "1.2.2", false)]
    [InlineData("^1.2.3", "2.0.0", false)]
    [InlineData("^0.2.3", "0.2.9", true)]
    [InlineData("^0.2.3", "0.3.0", false)]
    [InlineData("^0.0.3", "0.0.4", false)]
    [InlineData("^0", "0.9.1", true)]
    [InlineData("~1.2.3", "1.2.9", true)]
    [InlineData("~1.2.3", "1.3.0", false)]
    [InlineData("~1", "1.9.0", true)]
    [InlineData("1.x", "1.4.0", true)]
    [InlineData("1.x", "2.0.0", false)]
    [InlineData("*", "3.2.1", true)]
    [InlineData("1.2.3", "1.2.3", true)]
    [InlineData("=1.2.3", "1.2.4", false)]
    [InlineData("1.2 - 2.3", "2.3.9", true)]
    [InlineData("1.2 - 2.3", "2.4.0", false)]
    [InlineData(">=1 <3 || 5", "2.9.9", true)]
    [InlineData(">=1 <3 || 5", "4.0.0", false)]
    [InlineData(">=1 <3 || 5", "5.1.0", true)]
    [InlineData(">=6.5.0", "6.5.39+rev1", true)]
    [InlineData(">=1.0.0", "1.0.0-rc.1", false)]
    [InlineData(">=1.0.0-rc.2", "1.0.0-rc.10", true)]
    [InlineData("v1.2.3", "v1.2.3", true)]
    [InlineData(">=1", "not a version", false)]
    [InlineData("nonsense", "1.0.0", false)]
    public void Ranges_mean_what_npm_says(string range, string version, bool inside) => Assert.Equal(inside, VersionRange.Contains(range, version));

    [Theory]
    [InlineData("""{"requires":[]}""", null)]
    [InlineData("""{"type":"sw.container"}""", null)]
    [InlineData("""{"requires":[{"type":"sw.supervisor","version":">=19.0.0"}]}""", null)]
    [InlineData("""{"requires":[{"type":"sw.supervisor","version":">=20"}]}""", "sw.supervisor >=20")]
    [InlineData("""{"requires":[{"type":"arch.sw","slug":"aarch64"}]}""", "arch.sw aarch64")]
    [InlineData("""{"requires":[{"or":[{"type":"arch.sw","slug":"aarch64"},{"type":"arch.sw","slug":"amd64"}]}]}""", null)]
    [InlineData("""{"requires":[{"or":[{"type":"arch.sw","slug":"aarch64"},{"type":"arch.sw","slug":"i386"}]}]}""", "arch.sw aarch64 or arch.sw i386")]
    [InlineData("""{"requires":[{"type":"hw.device-type","slug":"generic-amd64"},{"type":"sw.kernel","version":"^6.1"}]}""", null)]
    [InlineData("""{"requires":[{"type":"sw.os","version":"<6"}]}""", "sw.os <6")]
    [InlineData("""{"requires":[{"type":"sw.l4t","version":">=32"}]}""", "sw.l4t >=32")]
    [InlineData("""{"requires":["odd"]}""", "something that is not a demand")]
    [InlineData("""{"requires":[{"or":7}]}""", "something without a type")]
    public void A_demand_that_is_not_met_is_named(string contract, string? unmet) =>
        Assert.Equal(unmet, Contract.Unmet(JsonDocument.Parse(contract).RootElement, GivenFleet.Facts.Contract));
}
