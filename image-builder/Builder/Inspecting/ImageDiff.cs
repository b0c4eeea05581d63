using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>How two images differ: partitions, then files, then bytes.</summary>
internal static class ImageDiff
{
    private const int Chunk = 1 << 16;

    /// <summary>One line for each difference, none when the images hold the same.</summary>
    public static IEnumerable<string> Between(OpenImage a, OpenImage b)
    {
        if (a.Disk.Length != b.Disk.Length) yield return $"size: {a.Disk.Length} bytes, then {b.Disk.Length}";
        foreach (var left in a.Partitions)
        {
            var name = Name(left);
            var right = b.Partitions.FirstOrDefault(p => Name(p) == name);
            if (right is null)
            {
                yield return $"{name}: only in the first image";
                continue;
            }

            foreach (var line in Entry(left, right)) yield return $"{name}: {line}";
            foreach (var line in Content(left, right)) yield return $"{name}: {line}";
        }

        foreach (var right in b.Partitions.Where(r => a.Partitions.All(l => Name(l) != Name(r)))) yield return $"{Name(right)}: only in the second image";
    }

    private static IEnumerable<string> Entry(ImagePartition a, ImagePartition b)
    {
        if (a.Entry.Offset != b.Entry.Offset || a.Entry.Size != b.Entry.Size)
            yield return $"at byte {a.Entry.Offset} with {a.Entry.Size} bytes, then at {b.Entry.Offset} with {b.Entry.Size}";
        if (a.Entry.Type != b.Entry.Type) yield return $"type {a.Entry.Type}, then {b.Entry.Type}";
        if (a.Entry.Id != b.Entry.Id) yield return $"id {a.Entry.Id}, then {b.Entry.Id}";
        if (a.FileSystem?.Format != b.FileSystem?.Format) yield return $"{a.FileSystem?.Format ?? "no file system"}, then {b.FileSystem?.Format ?? "no file system"}";
        else if (a.FileSystem?.Label != b.FileSystem?.Label) yield return $"label {a.FileSystem?.Label}, then {b.FileSystem?.Label}";
    }

    private static IEnumerable<string> Content(ImagePartition a, ImagePartition b)
    {
        if (a.FileSystem is null || b.FileSystem is null)
        {
            if (a.Content.Length == b.Content.Length && FirstDifference(a.Content, b.Content) is { } at) yield return $"bytes differ from byte {at} on";
            yield break;
        }

        var left = Paths.Walk(a.FileSystem, "").ToDictionary(n => n.Path, StringComparer.Ordinal);
        var right = Paths.Walk(b.FileSystem, "").ToDictionary(n => n.Path, StringComparer.Ordinal);
        foreach (var path in left.Keys.Union(right.Keys).Order(StringComparer.Ordinal))
        {
            if (!right.TryGetValue(path, out var y)) yield return $"- {path}";
            else if (!left.TryGetValue(path, out var x)) yield return $"+ {path}";
            else if (Node(a.FileSystem, x, b.FileSystem, y) is { } change) yield return $"! {path}: {change}";
        }
    }

    private static string? Node(IFileSystem a, Node x, IFileSystem b, Node y)
    {
        if (x.Kind != y.Kind) return $"{x.Kind}, then {y.Kind}".ToLowerInvariant();
        var changes = new List<string>();
        if (x.Mode != y.Mode) changes.Add($"mode {Paths.Mode(x)}, then {Paths.Mode(y)}");
        if (x.Uid != y.Uid || x.Gid != y.Gid) changes.Add($"owner {x.Uid}:{x.Gid}, then {y.Uid}:{y.Gid}");
        if (x.LinkTarget != y.LinkTarget) changes.Add($"-> {x.LinkTarget}, then -> {y.LinkTarget}");
        if (x.Major != y.Major || x.Minor != y.Minor) changes.Add($"device {x.Major}:{x.Minor}, then {y.Major}:{y.Minor}");
        if (!x.Xattrs.Select(Attribute).SequenceEqual(y.Xattrs.Select(Attribute))) changes.Add("extended attributes");
        if (x.Size != y.Size) changes.Add($"{x.Size} bytes, then {y.Size}");
        if (x.Kind == NodeKind.File)
        {
            using var left = a.Open(x.Path);
            using var right = b.Open(y.Path);
            if (FirstDifference(left, right) is { } at) changes.Add($"differs from byte {at} on");
        }

        return changes.Count > 0 ? string.Join(", ", changes) : null;
    }

    private static string Attribute(Xattr xattr) => xattr.Name + "=" + Convert.ToHexString(xattr.Value.Span);

    /// <summary>The first byte that differs, or the end of the shorter; null when they are the same.</summary>
    internal static long? FirstDifference(Stream a, Stream b)
    {
        byte[] left = new byte[Chunk], right = new byte[Chunk];
        for (long at = 0; ; at += Chunk)
        {
            var x = left.AsSpan(0, a.ReadAtLeast(left, Chunk, throwOnEndOfStream: false));
            var y = right.AsSpan(0, b.ReadAtLeast(right, Chunk, throwOnEndOfStream: false));
            var same = x.CommonPrefixLength(y);
            if (same < Math.Max(x.Length, y.Length)) return at + same;
            if (x.Length < Chunk) return null;
        }
    }

    private static string Name(ImagePartition partition) => partition.Entry.Name.Length > 0 ? partition.Entry.Name : partition.Entry.Number.ToString();
}
