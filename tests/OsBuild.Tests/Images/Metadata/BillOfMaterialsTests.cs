using System.Text.Json;
using OsBuild.Images;
using OsBuild.Images.Metadata;

namespace OsBuild.Tests.Images.Metadata;

public sealed class BillOfMaterialsTests
{
    private const string Manifest = "busybox core2-64 1.36.1-r0\nlibstdc++6 core2-64 13.2.0\n\nbase-files qemux86_64 3.0.14\n";

    private static BillOfMaterials Bill(IEnumerable<BomPart> parts) => new()
    {
        Image = "core-image-thin-qemux86-64",
        Version = "20240719072145",
        Sha256 = new string('A', 64),
        Time = 1302044400,
        Tool = ("image-builder", "0.1.0"),
        Parts = [.. parts],
    };

    private static readonly BomPart[] Own =
    [
        new() { Kind = BomKind.Program, Name = "supervisor", Version = "0.1.0", Sha256 = new string('b', 64), License = "Apache-2.0" },
        new() { Kind = BomKind.Container, Name = "demo:latest" },
        new() { Kind = BomKind.Firmware, Name = "bzImage", Version = "6.1" },
        new() { Kind = BomKind.File, Name = "config.yaml" },
    ];

    [Fact]
    public void Packages_come_from_the_manifest_in_order()
    {
        var packages = YoctoManifest.Read(new StringReader(Manifest));
        Assert.Equal(["base-files", "busybox", "libstdc++6"], packages.Select(p => p.Name));
        Assert.Equal(("1.36.1-r0", "core2-64", BomKind.Package), (packages[1].Version, packages[1].Architecture, packages[1].Kind));
        Assert.Empty(YoctoManifest.Read(new StringReader("")));
    }

    [Theory]
    [InlineData("busybox core2-64 1.0\nversion https://git-lfs.github.com/spec/v1\n", "Line 2")]
    [InlineData("busybox\n", "Line 1")]
    [InlineData("a b c d\n", "Line 1")]
    public void A_line_of_another_form_is_refused_by_its_number(string text, string line) =>
        Assert.StartsWith(line, Assert.Throws<ImageException>(() => YoctoManifest.Read(new StringReader(text))).Message);

    [Fact]
    public void The_document_holds_every_part_once_with_what_is_known_of_it()
    {
        var packages = YoctoManifest.Read(new StringReader(Manifest));
        using var document = JsonDocument.Parse(CycloneDx.Write(Bill([.. packages, .. Own, Own[0]])));
        var root = document.RootElement;
        Assert.Equal(("CycloneDX", "1.6", 1), (root.GetProperty("bomFormat").GetString(), root.GetProperty("specVersion").GetString(), root.GetProperty("version").GetInt32()));
        Assert.Equal("2011-04-05T23:00:00Z", root.GetProperty("metadata").GetProperty("timestamp").GetString());
        Assert.Equal(new string('a', 64), root.GetProperty("metadata").GetProperty("component").GetProperty("hashes")[0].GetProperty("content").GetString());
        var components = root.GetProperty("components").EnumerateArray().ToList();
        Assert.Equal(
            ["base-files library", "busybox library", "libstdc++6 library", "supervisor application", "bzImage firmware", "demo:latest container", "config.yaml file"],
            components.Select(c => $"{c.GetProperty("name")} {c.GetProperty("type")}"));
        Assert.Equal("pkg:generic/libstdc%2B%2B6@13.2.0?arch=core2-64", components[2].GetProperty("purl").GetString());
        Assert.Equal("Apache-2.0", components[3].GetProperty("licenses")[0].GetProperty("expression").GetString());
        Assert.False(components[6].TryGetProperty("version", out _));
        var references = components.Select(c => c.GetProperty("bom-ref").GetString()).ToList();
        Assert.Equal(references.Count, references.Distinct().Count());
        Assert.Equal(references, root.GetProperty("dependencies")[0].GetProperty("dependsOn").EnumerateArray().Select(r => r.GetString()));
        Assert.Matches("^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", root.GetProperty("serialNumber").GetString());
    }

    [Fact]
    public void The_same_parts_in_another_order_give_the_same_bytes_and_other_parts_another_number()
    {
        var packages = YoctoManifest.Read(new StringReader(Manifest));
        var one = CycloneDx.Write(Bill([.. packages, .. Own]));
        Assert.Equal(one, CycloneDx.Write(Bill([.. Own.Reverse(), .. packages.Reverse()])));
        string Serial(byte[] json) => JsonDocument.Parse(json).RootElement.GetProperty("serialNumber").GetString()!;
        Assert.NotEqual(Serial(one), Serial(CycloneDx.Write(Bill(packages))));
        Assert.DoesNotContain((byte)'\r', one);
    }
}
