using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Performs a plan and leaves the image, its block map and its description in the output folder.</summary>
internal static class BuildJob
{
    /// <summary>Ending of a compressed image.</summary>
    public static string Ending(Codec codec) => codec switch
    {
        Codec.Gzip => ".gz",
        Codec.Xz => ".xz",
        Codec.Zstd => ".zst",
        _ => "",
    };

    /// <returns>What was made.</returns>
    public static BuildResult Run(BuildRequest request, ImagePlan plan, Progress progress, CancellationToken cancel)
    {
        using var outputs = new Outputs(request.Output);
        var name = plan.FileName;
        using var file = outputs.Create(name);
        using var image = new ImageFile(file.SafeFileHandle, plan.Disk.Size);
        var assembler = new ImageAssembler(plan, image, progress, cancel);
        assembler.Run();

        var step = progress.Begin("hash", image.Length);
        // The digest of the whole takes longest: all others are made beside it.
        var map = Task.Run(() => ImageDigests.Map(image, cancel), cancel);
        var parts = Task.Run(() => plan.Disk.Partitions.Select(p => ImageDigests.Of(image, p.Offset, p.Size, _ => { }, cancel)).ToList(), cancel);
        var whole = ImageDigests.Of(image, 0, image.Length, step.At, cancel);
        var blockMap = map.GetAwaiter().GetResult();
        var partitions = parts.GetAwaiter().GetResult();
        step.End();

        var final = name + Ending(request.Compress);
        if (request.Compress != Codec.None)
        {
            using var compressed = outputs.Create(final);
            Compress(image, compressed, request.Compress, progress, cancel);
            outputs.Drop(name);
        }

        using (var bmap = outputs.Create(name + ".bmap")) blockMap.WriteXml(bmap);
        using (var json = outputs.Create(name + ".json")) ImageDescription.Write(json, plan, whole, partitions, blockMap);
        if (plan.Packages.Count > 0)
            using (var sbom = outputs.Create(name + ".cdx.json")) BillOfMaterials.Write(sbom, plan);
        outputs.Commit();
        return new(Path.Combine(request.Output, final), image.Length, blockMap.Ranges.Sum(r => (r.Last - r.First + 1) * ImageFile.BlockSize), whole);
    }

    private static void Compress(ImageFile image, Stream target, Codec codec, Progress progress, CancellationToken cancel)
    {
        var step = progress.Begin("compress", image.Length);
        using var encoder = Codecs.OpenWrite(target, codec, codec == Codec.Zstd ? 3 : 6, Environment.ProcessorCount);
        var buffer = new byte[1 << 20];
        for (image.Position = 0; image.Position < image.Length;)
        {
            cancel.ThrowIfCancellationRequested();
            encoder.Write(buffer, 0, image.Read(buffer));
            step.At(image.Position);
        }

        step.End();
    }
}

/// <summary>What a job made.</summary>
/// <param name="Path">The image.</param>
/// <param name="Size">Its size.</param>
/// <param name="Mapped">Bytes of it that hold something.</param>
/// <param name="Sha256">Digest of the (uncompressed) image.</param>
internal sealed record BuildResult(string Path, long Size, long Mapped, string Sha256);
