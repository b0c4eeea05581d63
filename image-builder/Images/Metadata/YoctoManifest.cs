namespace OsBuild.Images.Metadata;

/// <summary>Reads the package list that bitbake leaves beside an image: <c>package architecture version</c> on each line.</summary>
public static class YoctoManifest
{
    /// <summary>The packages in ordinal order of their names.</summary>
    /// <exception cref="ImageException">A line has another form; the message tells which.</exception>
    public static IReadOnlyList<BomPart> Read(TextReader text)
    {
        var packages = new List<BomPart>();
        var number = 0;
        while (text.ReadLine() is { } line)
        {
            number++;
            var words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0) continue;
            if (words.Length != 3)
                throw new ImageException(ImageErrorKind.Corrupt, $"Line {number} of the package manifest is not \"package architecture version\"; build the image again, or take the manifest that belongs to it.");
            packages.Add(new BomPart { Kind = BomKind.Package, Name = words[0], Architecture = words[1], Version = words[2] });
        }

        packages.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name) is var order and not 0 ? order : string.CompareOrdinal(a.Version, b.Version));
        return packages;
    }
}
