using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using OsBuild.ImageBuilder.Inspecting;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Writes a host image: a container image of one layer, as <c>docker load</c> reads it (the Docker image specification v1.2, "Combined Image
/// JSON + Filesystem Changeset Format"). <c>host.json</c> comes first in the layer and <c>root.img</c> last, so that who reads it as a stream knows what
/// comes and can write the root straight to where it goes. The same slot and tag give the same bytes.</summary>
internal sealed class HostArchive(HostSlot slot, string tag, Progress progress, CancellationToken cancel)
{
    private const string Layer = "layer.tar", HostJson = "host.json", RootFile = "root.img";
    private const int Step = 1 << 20;

    // Two blocks of zeros (POSIX.1-2017 pax).
    private const int EndSize = 2 * UstarHeader.Size;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(Step);

    /// <summary>Bytes of an archive, but for a few kilobytes.</summary>
    public static long SizeOf(HostSlot slot) => slot.Files.Sum(f => UstarHeader.EntrySize(f.Size)) + UstarHeader.EntrySize(slot.Root.Length) + (64 << 10);

    /// <summary>Writes the archive.</summary>
    /// <param name="to">Takes it.</param>
    /// <returns>The id of the image: the digest of its configuration, <c>sha256:...</c>.</returns>
    public string WriteTo(Stream to)
    {
        var description = Describe();
        string[] folders = [.. slot.Files.Select(f => f.Path).SelectMany(Parents).Distinct().Order(StringComparer.Ordinal)];
        var length = UstarHeader.EntrySize(description.Length) + folders.Length * UstarHeader.EntrySize(0) + slot.Files.Sum(f => UstarHeader.EntrySize(f.Size))
            + UstarHeader.EntrySize(slot.Root.Length) + EndSize;
        var step = progress.Begin("layer", length);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Put(ReadOnlySpan<byte> bytes)
        {
            cancel.ThrowIfCancellationRequested();
            to.Write(bytes);
            hash.AppendData(bytes);
            step.Add(bytes.Length);
        }

        Entry(to.Write, Layer, length);
        Entry(Put, HostJson, description);
        foreach (var folder in folders) Entry(Put, folder, 0);
        foreach (var file in slot.Files)
        {
            using var content = file.Open();
            Entry(Put, file.Path, content, file.Size);
        }

        slot.Root.Position = 0;
        Entry(Put, RootFile, slot.Root, slot.Root.Length);
        Put(new byte[EndSize]);
        step.End();
        Pad(to.Write, length);

        var configuration = Configuration("sha256:" + Convert.ToHexStringLower(hash.GetHashAndReset()));
        var id = Convert.ToHexStringLower(SHA256.HashData(configuration));
        Entry(to.Write, id + ".json", configuration);
        Entry(to.Write, "manifest.json", Manifest(id + ".json"));
        to.Write(new byte[EndSize]);
        return "sha256:" + id;
    }

    private delegate void Writing(ReadOnlySpan<byte> bytes);

    private void Entry(Writing put, string path, long size)
    {
        Span<byte> header = stackalloc byte[UstarHeader.Size];
        UstarHeader.Write(header, path, size, slot.Record.Time);
        put(header);
    }

    private void Entry(Writing put, string path, byte[] content)
    {
        Entry(put, path, content.Length);
        put(content);
        Pad(put, content.Length);
    }

    private void Entry(Writing put, string path, Stream content, long size)
    {
        Entry(put, path, size);
        Read(content, size, path, some => put(some));
        Pad(put, size);
    }

    private static void Pad(Writing put, long size) => put(new byte[(int)(-size & (UstarHeader.Size - 1))]);

    private void Read(Stream content, long size, string path, Writing take)
    {
        for (var left = size; left > 0;)
        {
            var some = content.Read(_buffer, 0, (int)Math.Min(left, _buffer.Length));
            if (some == 0) throw new EndOfStreamException($"{path} ended {left} bytes early; another program changed the image.");
            take(_buffer.AsSpan(0, some));
            left -= some;
        }
    }

    private string Digest(Stream content, long size, string path, Progress.Step step)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        content.Position = 0;
        Read(content, size, path, some =>
        {
            cancel.ThrowIfCancellationRequested();
            hash.AppendData(some);
            step.Add(some.Length);
        });
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>host.json: what the image is, and a digest of everything in it.</summary>
    private byte[] Describe()
    {
        var step = progress.Begin("digests", slot.Root.Length + slot.Files.Sum(f => f.Size));
        var (record, root) = (slot.Record, Digest(slot.Root, slot.Root.Length, RootFile, step));
        var description = Json(json =>
        {
            json.WriteString("board", record.Board);
            json.WriteString("machine", record.Machine);
            json.WriteString("image", record.Image);
            json.WriteString("version", record.Version);
            json.WriteString("build", record.Build);
            json.WriteNumber("time", record.Time);
            json.WriteString("builder", record.Builder);
            json.WriteString("kernel", record.Kernel);
            json.WriteString("scheme", record.Scheme);
            json.WriteStartObject("root");
            json.WriteString("fileSystem", slot.RootFormat);
            json.WriteNumber("size", slot.Root.Length);
            json.WriteString("sha256", root);
            json.WriteEndObject();
            json.WriteStartArray("files");
            foreach (var file in slot.Files)
            {
                using var content = file.Open();
                json.WriteStartObject();
                json.WriteString("path", file.Path);
                json.WriteNumber("size", file.Size);
                json.WriteString("sha256", Digest(content, file.Size, file.Path, step));
                json.WriteBoolean("text", file.IsText);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }, ImageRecord.Indented);
        step.End();
        return description;
    }

    /// <summary>The image's configuration (OCI Image Format, config.md).</summary>
    private byte[] Configuration(string layer)
    {
        var time = DateTimeOffset.FromUnixTimeSeconds(slot.Record.Time).ToString("yyyy-MM-ddTHH:mm:ssZ");
        return Json(json =>
        {
            json.WriteString("created", time);
            json.WriteString("architecture", slot.Architecture);
            json.WriteString("os", "linux");
            json.WriteStartObject("config");
            json.WriteStartObject("Labels");
            json.WriteString("io.osbuild.board", slot.Record.Board);
            json.WriteString("io.osbuild.version", slot.Record.Version);
            json.WriteString("org.opencontainers.image.version", slot.Record.Version);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteStartObject("rootfs");
            json.WriteString("type", "layers");
            json.WriteStartArray("diff_ids");
            json.WriteStringValue(layer);
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteStartArray("history");
            json.WriteStartObject();
            json.WriteString("created", time);
            json.WriteString("created_by", "image-builder host-image");
            json.WriteEndObject();
            json.WriteEndArray();
        });
    }

    private byte[] Manifest(string configuration) => [.. "["u8, .. Json(json =>
    {
        json.WriteString("Config", configuration);
        json.WriteStartArray("RepoTags");
        json.WriteStringValue(tag);
        json.WriteEndArray();
        json.WriteStartArray("Layers");
        json.WriteStringValue(Layer);
        json.WriteEndArray();
    }), .. "]\n"u8];

    private static byte[] Json(Action<Utf8JsonWriter> write, JsonWriterOptions options = default)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, options))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    private static IEnumerable<string> Parents(string path)
    {
        for (var slash = path.IndexOf('/'); slash > 0; slash = path.IndexOf('/', slash + 1)) yield return path[..(slash + 1)];
    }
}
