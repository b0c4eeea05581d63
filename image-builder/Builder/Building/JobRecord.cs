using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.ImageBuilder.Building;

/// <summary>What the last job in a folder did: <c>.NAME.img.job</c>, beside the image. It is why the same job again does nothing, and another
/// config.yaml writes the boot partition only. Losing it costs time, nothing else.</summary>
internal sealed record JobRecord
{
    /// <summary>Digest of everything that decides over the image.</summary>
    public required string Job { get; init; }

    /// <summary>Digest of everything that decides over the image but for its boot partition.</summary>
    public required string Rest { get; init; }

    /// <summary>What the root said of the operating system.</summary>
    public required SystemFacts System { get; init; }

    /// <summary>The initramfs on the boot partition that the builder made; null when it made none.</summary>
    public string? Initramfs { get; init; }

    /// <summary>Digests of input files, with size and time.</summary>
    public required IReadOnlyList<KnownFile> Inputs { get; init; }

    /// <summary>The files that the job left, as they were then.</summary>
    public required IReadOnlyList<KnownFile> Outputs { get; init; }

    public static string NameFor(string image) => $".{image}.job";

    /// <summary>The record beside an image; null when there is none that can be read.</summary>
    public static JobRecord? Read(string folder, string image)
    {
        try
        {
            using var file = File.OpenRead(Path.Combine(folder, NameFor(image)));
            return JsonSerializer.Deserialize(file, JobJson.Default.JobRecord);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    public void Write(Stream target) => JsonSerializer.Serialize(target, this, JobJson.Default.JobRecord);

    /// <summary>True when all files are as the job left them.</summary>
    public bool IsUntouched(string folder) => Outputs.All(o => Known(Path.Combine(folder, o.Path)) is { } now && (now.Size, now.Modified) == (o.Size, o.Modified));

    /// <summary>Size and time of a file that the job made; null when it is not there.</summary>
    public static KnownFile? Known(string path) =>
        new FileInfo(path) is { Exists: true } file ? new(file.Name, file.Length, file.LastWriteTimeUtc.Ticks, "") : null;

    /// <summary>The two digests of a job.</summary>
    public static JobKeys KeysOf(Material material, FileDigests digests, string builder)
    {
        var (request, deploy, user) = (material.Request, material.Deploy, material.User);
        var rest = new StringBuilder();
        rest.Append($"builder {builder} {request.BuilderVersion}\nboard {request.Board.Digest}\nimage {deploy.Image} {deploy.Machine}\n");
        rest.Append($"time {material.Time}\nroot {material.Identity.RootId} {deploy.RootfsType} {request.Rootfs}\nkernel {deploy.KernelFacts.Version}\n");
        rest.Append($"distro {deploy.TestData["DISTRO_VERSION"]}\ncompress {request.Compress} {request.OsList}\n");
        foreach (var blob in deploy.RawBlobs) rest.Append($"blob {blob.Blob.Place} {digests.Of(blob.File)}\n");
        var job = new StringBuilder(rest.ToString());
        job.Append($"build {material.Identity.BuildId}\n");
        foreach (var file in deploy.BootFiles.Concat(deploy.YoctoBootFiles).Concat(deploy.DeviceTrees).Concat(deploy.Overlays).Concat(user.Apps)) job.Append($"boot {file.Dest} {digests.Of(file.File)}\n");
        if (user.Config is { } config) job.Append($"config {digests.Of(config)}\n");
        if (user.Compose is { } compose) job.Append($"compose {digests.Of(compose)}\n");
        foreach (var package in deploy.Packages) job.Append($"package {package.Name} {package.Arch} {package.Version}\n");
        return new(Hash(job), Hash(rest));
    }

    private static string Hash(StringBuilder text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
}

/// <summary>What decides over an image, as two digests.</summary>
/// <param name="Job">Of everything.</param>
/// <param name="Rest">Of everything but the content of the boot partition.</param>
internal sealed record JobKeys(string Job, string Rest);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(JobRecord))]
internal sealed partial class JobJson : JsonSerializerContext;
