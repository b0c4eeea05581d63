using System.Globalization;
using System.Xml.Linq;
using OsBuild.ImageBuilder.Inspecting;

namespace OsBuild.Tests.Builder.Inspecting;

public sealed class TreeMapTests
{
    private static SizeNode File(string name, long size) => new(name, size, []);

    private static SizeNode Folder(string name, params SizeNode[] below) => new(name, below.Sum(b => b.Size), below);

    private static readonly SizeNode Image = Folder("image.img",
        Folder("root-a", Folder("usr", Folder("lib", File("libc.so.6", 400_000), File("libm.so.6", 200_000)), Folder("bin", File("busybox", 300_000)))),
        Folder("boot", Folder("slot-a", File("bzImage", 100_000))));

    private static IEnumerable<(double X, double Y, double W, double H, string Title)> Boxes(SizeNode root)
    {
        XNamespace svg = "http://www.w3.org/2000/svg";
        foreach (var g in XDocument.Parse(TreeMap.Svg(root)).Descendants(svg + "g"))
        {
            double Number(string name) => double.Parse(g.Element(svg + "rect")!.Attribute(name)!.Value, CultureInfo.InvariantCulture);
            yield return (Number("x"), Number("y"), Number("width"), Number("height"), g.Element(svg + "title")!.Value);
        }
    }

    [Fact]
    public void Areas_are_as_the_sizes_are_and_nothing_lies_over_another()
    {
        var files = Boxes(Image).Where(b => b.Title.Contains(".so", StringComparison.Ordinal) || b.Title.Contains("busybox", StringComparison.Ordinal)).ToList();
        Assert.Equal(3, files.Count);
        double Area(string name) => files.Where(f => f.Title.Contains(name, StringComparison.Ordinal)).Sum(f => f.W * f.H);
        Assert.InRange(Area("libc") / Area("libm"), 1.8, 2.2);
        foreach (var a in files)
            foreach (var b in files.Where(f => f != a))
                Assert.True(a.X + a.W <= b.X + 0.2 || b.X + b.W <= a.X + 0.2 || a.Y + a.H <= b.Y + 0.2 || b.Y + b.H <= a.Y + 0.2, $"{a} lies over {b}");
    }

    [Fact]
    public void A_folder_with_nothing_but_a_folder_is_one_with_it()
    {
        var titles = Boxes(Image).Select(b => b.Title).ToList();
        Assert.Contains(titles, t => t.StartsWith("image.img/root-a/usr ", StringComparison.Ordinal));
        Assert.DoesNotContain(titles, t => t.StartsWith("image.img/root-a ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(30, false, "libcrypto.so.3 4.5 MiB")]
    [InlineData(30, true, "libcrypto.so.3 4.5 MiB")]
    [InlineData(16, false, "libcrypto.so.3")]
    [InlineData(16, true, "libcrypto.so.3|4.5 MiB")]
    [InlineData(8, false, "libcryp…")]
    [InlineData(8, true, "libcryp…|4.5 MiB")]
    [InlineData(6, true, "libcr…")]
    [InlineData(4, true, "")]
    public void A_label_says_as_much_as_there_is_room_for(int room, bool two, string expected) =>
        Assert.Equal(expected, string.Join('|', TreeMap.Fit(File("libcrypto.so.3", 4718592), room, two)));

    [Fact]
    public void What_makes_up_most_of_an_image_is_drawn_in_several_colours()
    {
        XNamespace svg = "http://www.w3.org/2000/svg";
        var colours = XDocument.Parse(TreeMap.Svg(Image)).Descendants(svg + "g")
            .Where(g => g.Element(svg + "title")!.Value.Contains("libc.so.6", StringComparison.Ordinal) || g.Element(svg + "title")!.Value.Contains("busybox", StringComparison.Ordinal))
            .Select(g => g.Element(svg + "rect")!.Attribute("fill")!.Value).ToList();
        Assert.Equal(2, colours.Distinct().Count());
    }

    [Fact]
    public void Names_with_markup_in_them_are_text() =>
        Assert.Contains(Boxes(Folder("i", File("<b>&\"", 10))), b => b.Title.Contains("<b>&\"", StringComparison.Ordinal));
}
