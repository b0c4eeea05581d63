using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Xml;

namespace OsBuild.Images.Bmap;

/// <summary>The XML form of a block map, as bmaptool 1.2 to 2.0 writes it.</summary>
internal static class BmapXml
{
    /// <summary>More than a map of 2 TiB with every second block mapped would be of no use to anybody.</summary>
    private const int MaxFileSize = 256 << 20;

    public static BlockMap Read(Stream xml)
    {
        using var copy = new MemoryStream();
        var buffer = new byte[65536];
        for (int got; (got = xml.Read(buffer)) > 0;)
        {
            copy.Write(buffer, 0, got);
            if (copy.Length > MaxFileSize) throw Corrupt($"it is larger than {MaxFileSize} bytes");
        }

        var bytes = copy.ToArray();
        try
        {
            return Parse(bytes);
        }
        catch (XmlException e)
        {
            throw new ImageException(ImageErrorKind.Corrupt, $"The block map is not sound XML (line {e.LineNumber}); get it again or leave it out.", e);
        }
    }

    private static BlockMap Parse(byte[] bytes)
    {
        var settings = new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, IgnoreComments = true, IgnoreWhitespace = true };
        using var reader = XmlReader.Create(new MemoryStream(bytes), settings);
        var fields = new Dictionary<string, string>();
        var ranges = new List<BlockRange>();
        string? version = null;
        while (!reader.EOF)
        {
            if (reader.NodeType != XmlNodeType.Element)
            {
                reader.Read();
                continue;
            }

            switch (reader.LocalName)
            {
                case "bmap":
                    version = reader.GetAttribute("version");
                    RefuseVersion(version);
                    reader.Read();
                    break;
                case "BlockMap":
                    reader.Read();
                    break;
                case "Range":
                    var digest = reader.GetAttribute("chksum");
                    ranges.Add(RangeOf(reader.ReadElementContentAsString().Trim(), digest?.Trim()));
                    break;
                default:
                    var name = reader.LocalName;
                    fields[name] = reader.ReadElementContentAsString().Trim();
                    break;
            }
        }

        if (version is null) throw Corrupt("it has no bmap element");
        CheckOwnDigest(bytes, version, fields);
        var isSha256 = fields.GetValueOrDefault("ChecksumType", "").Equals("sha256", StringComparison.OrdinalIgnoreCase);
        var map = new BlockMap
        {
            ImageSize = Number(fields, "ImageSize"),
            BlockSize = (int)Math.Min(Number(fields, "BlockSize"), int.MaxValue),
            Ranges = isSha256 ? ranges : [.. ranges.Select(r => r with { Sha256 = null })],
        };
        Verify(map, fields);
        return map;
    }

    private static void RefuseVersion(string? version)
    {
        var major = version?.Split('.')[0];
        if (major is not ("1" or "2")) throw new ImageException(ImageErrorKind.Unsupported, $"Block map version {version ?? "(none)"} is unknown; versions 1 and 2 are supported.");
    }

    private static BlockRange RangeOf(string text, string? digest)
    {
        var dash = text.IndexOf('-');
        var (first, last) = dash < 0 ? (text, text) : (text[..dash].Trim(), text[(dash + 1)..].Trim());
        if (!long.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var from) || !long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out var to))
            throw Corrupt($"'{text}' is no range of blocks");
        return new BlockRange(from, to, digest?.ToLowerInvariant());
    }

    private static long Number(Dictionary<string, string> fields, string name) =>
        fields.TryGetValue(name, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw Corrupt($"{name} is missing or no positive number");

    private static void Verify(BlockMap map, Dictionary<string, string> fields)
    {
        if (map.BlockSize is < 512 or > 1 << 24 || !int.IsPow2(map.BlockSize)) throw Corrupt($"its block size is {map.BlockSize}");
        if (map.ImageSize > long.MaxValue / 2) throw Corrupt($"its image size is {map.ImageSize}");
        if (Number(fields, "BlocksCount") != map.BlockCount) throw Corrupt($"it counts {fields["BlocksCount"]} blocks, but {map.ImageSize} bytes are {map.BlockCount}");
        long next = 0;
        foreach (var r in map.Ranges)
        {
            if (r.First < next || r.Last < r.First || r.Last >= map.BlockCount) throw Corrupt($"the range {r.First}-{r.Last} is out of order or past the end");
            if (r.Sha256 is { } sum && (sum.Length != 64 || !sum.All(char.IsAsciiHexDigitLower))) throw Corrupt($"the checksum of the range {r.First}-{r.Last} is no SHA-256");
            next = r.Last + 1;
        }

        if (fields.TryGetValue("MappedBlocksCount", out var mapped) && mapped != map.MappedCount.ToString(CultureInfo.InvariantCulture))
            throw Corrupt($"it counts {mapped} mapped blocks, but lists {map.MappedCount}");
    }

    /// <summary>The file's digest is over itself, with zeros (the character) in place of the digest. Version 1.2 has none, 1.3 has
    /// BmapFileSHA1, later ones BmapFileChecksum of the type that ChecksumType names.</summary>
    private static void CheckOwnDigest(byte[] bytes, string version, Dictionary<string, string> fields)
    {
        var sha1 = fields.GetValueOrDefault("BmapFileSHA1");
        var digest = sha1 ?? fields.GetValueOrDefault("BmapFileChecksum");
        if (digest is null && version is ("1.0" or "1.1" or "1.2")) return;
        if (digest is null) throw Corrupt("it lacks its own checksum");
        var type = sha1 is not null ? "sha1" : fields.GetValueOrDefault("ChecksumType", "").ToLowerInvariant();
        var at = bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(digest));
        if (at < 0 || digest.Length == 0) throw Corrupt($"its own checksum cannot be found (version {version})");
        bytes.AsSpan(at, digest.Length).Fill((byte)'0');
        byte[] found = type switch
        {
            "sha256" => SHA256.HashData(bytes),
#pragma warning disable CA5350 // Old maps have SHA-1; it guards against accidents, not against attackers.
            "sha1" => SHA1.HashData(bytes),
#pragma warning restore CA5350
            _ => throw new ImageException(ImageErrorKind.Unsupported, $"The block map has a checksum of the unknown type '{type}'."),
        };
        if (!Convert.ToHexString(found).Equals(digest, StringComparison.OrdinalIgnoreCase)) throw Corrupt("its own checksum does not match");
    }

    public static void Write(BlockMap map, Stream xml)
    {
        var zeros = new string('0', 64);
        var text = Text(map, zeros);
        var bytes = Encoding.UTF8.GetBytes(text);
        var digest = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(bytes)));
        digest.CopyTo(bytes, bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(zeros)));
        xml.Write(bytes);
    }

    private static string Text(BlockMap map, string digest)
    {
        var percent = map.BlockCount == 0 ? 0 : 100.0 * map.MappedCount / map.BlockCount;
        var text = new StringBuilder($"""
            <?xml version="1.0" ?>
            <!-- The blocks of an image that hold data; all others may be left out when it is written. -->

            <bmap version="2.0">
                <!-- Image size in bytes: {new ByteSize(map.ImageSize)} -->
                <ImageSize> {map.ImageSize} </ImageSize>

                <!-- Size of a block in bytes -->
                <BlockSize> {map.BlockSize} </BlockSize>

                <!-- Count of blocks in the image -->
                <BlocksCount> {map.BlockCount} </BlocksCount>

                <!-- Count of mapped blocks: {percent.ToString("0.0", CultureInfo.InvariantCulture)} % -->
                <MappedBlocksCount> {map.MappedCount} </MappedBlocksCount>

                <!-- Type of the checksums in this file -->
                <ChecksumType> sha256 </ChecksumType>

                <!-- Checksum of this file, taken with 64 characters "0" in its place -->
                <BmapFileChecksum> {digest} </BmapFileChecksum>

                <!-- Ranges of blocks with the checksum of their bytes -->
                <BlockMap>

            """.ReplaceLineEndings("\n"));
        foreach (var r in map.Ranges)
        {
            text.Append("        <Range");
            if (r.Sha256 is not null) text.Append(" chksum=\"").Append(r.Sha256).Append('"');
            text.Append("> ").Append(r.First);
            if (r.Last != r.First) text.Append('-').Append(r.Last);
            text.Append(" </Range>\n");
        }

        return text.Append("    </BlockMap>\n</bmap>\n").ToString();
    }

    private static ImageException Corrupt(string why) => new(ImageErrorKind.Corrupt, $"The block map is damaged: {why}. Get it again or leave it out.");
}
