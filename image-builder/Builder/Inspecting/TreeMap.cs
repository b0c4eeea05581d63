using System.Globalization;
using System.Net;
using System.Text;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>Draws sizes as a picture: every file a rectangle, its area its size (squarified treemap, Bruls, Huizing and van Wijk 2000).</summary>
internal static class TreeMap
{
    private const double Width = 1200, Height = 800, Smallest = 3, Label = 14, CharWidth = 6.4;
    // What lies in something larger than this part of the whole has colours of its own: the picture is never of one colour.
    private const double Coloured = 0.2;
    private static readonly string[] Colours = ["#7aa6c2", "#c2a27a", "#8fb98b", "#b98bb3", "#c28a8a", "#9d9bc4", "#b7b56f", "#7fb8b0"];
    private static readonly string[] Pale = ["#dee9f0", "#f0e8de", "#e3eee2", "#eee2ec", "#f0e2e2", "#e6e6f0", "#edecdb", "#dfedeb"]; // the same at a quarter, for folders

    public static string Svg(SizeNode root)
    {
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"11\">\n");
        Draw(svg, root, 0, 0, Width, Height, root.Size, 0, "");
        return svg.Append("</svg>\n").ToString();
    }

    private static void Draw(StringBuilder svg, SizeNode node, double x, double y, double w, double h, long total, int colour, string path)
    {
        if (w < Smallest || h < Smallest || node.Size == 0) return;
        // A directory that holds nothing but another is drawn as one with it.
        while (node.Below is [{ Below.Count: > 0 } only]) node = only with { Name = $"{node.Name}/{only.Name}" };
        var name = path.Length == 0 ? node.Name : $"{path}/{node.Name}";
        var leaf = node.Below.Count == 0;
        svg.Append(CultureInfo.InvariantCulture, $"<g><title>{WebUtility.HtmlEncode(name)} {new ByteSize(node.Size)}</title><rect x=\"{x:0.#}\" y=\"{y:0.#}\" width=\"{w:0.#}\" height=\"{h:0.#}\" fill=\"{(leaf ? Colours : Pale)[colour]}\" stroke=\"{(leaf ? "#fff" : "#8a949c")}\" stroke-width=\"0.6\"/>");
        var lines = h > Label + 2 ? Fit(node, (int)((w - 6) / CharWidth), leaf && h > 2 * Label) : [];
        for (var i = 0; i < lines.Count; i++) svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x + 3:0.#}\" y=\"{y + 11 + (i * Label):0.#}\">{WebUtility.HtmlEncode(lines[i])}</text>");
        svg.Append("</g>\n");
        var top = lines.Count > 0 ? Label : 0;
        Squarify(svg, [.. node.Below.Where(b => b.Size > 0)], x + 1, y + top, w - 2, h - top - 1, total, colour, name);
    }

    /// <summary>Name and size as far as there is room: in one line, or the size in a second one; then the size goes first, then the end of the name;
    /// nothing when that would tell nothing.</summary>
    /// <param name="node">What the label is for.</param>
    /// <param name="room">Letters for which a line has room.</param>
    /// <param name="two">True when there is room for two lines.</param>
    internal static IReadOnlyList<string> Fit(SizeNode node, int room, bool two = false)
    {
        var size = new ByteSize(node.Size).ToString();
        if (node.Name.Length + 1 + size.Length <= room) return [$"{node.Name} {size}"];
        var name = node.Name.Length <= room ? node.Name : room >= 5 ? node.Name[..(room - 1)] + "…" : "";
        if (name.Length == 0) return [];
        return two && size.Length <= room ? [name, size] : [name];
    }

    // Rows are filled along the shorter side for as long as that makes their worst rectangle more square.
    private static void Squarify(StringBuilder svg, List<SizeNode> nodes, double x, double y, double w, double h, long total, int colour, string path)
    {
        var whole = nodes.Sum(n => n.Size);
        var left = (double)whole;
        for (var at = 0; at < nodes.Count && w >= Smallest && h >= Smallest;)
        {
            var side = Math.Min(w, h);
            var scale = w * h / left;
            var count = 1;
            var row = nodes[at].Size * scale;
            while (at + count < nodes.Count)
            {
                var next = row + nodes[at + count].Size * scale;
                if (Worst(nodes, at, count + 1, next, side, scale) > Worst(nodes, at, count, row, side, scale)) break;
                row = next;
                count++;
            }

            var thick = row / side;
            double along = 0;
            for (var i = at; i < at + count; i++)
            {
                var length = nodes[i].Size * scale / thick;
                var tint = whole > total * Coloured ? (colour + i) % Colours.Length : colour;
                if (w >= h) Draw(svg, nodes[i], x, y + along, thick, length, total, tint, path);
                else Draw(svg, nodes[i], x + along, y, length, thick, total, tint, path);
                along += length;
                left -= nodes[i].Size;
            }

            if (w >= h) (x, w) = (x + thick, w - thick);
            else (y, h) = (y + thick, h - thick);
            at += count;
        }
    }

    private static double Worst(List<SizeNode> nodes, int at, int count, double row, double side, double scale)
    {
        var thick = row / side;
        double Ratio(SizeNode n)
        {
            var length = n.Size * scale / thick;
            return Math.Max(length / thick, thick / length);
        }

        return Math.Max(Ratio(nodes[at]), Ratio(nodes[at + count - 1]));
    }
}
