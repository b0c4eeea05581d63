using System.Formats.Tar;
using System.Globalization;
using System.Security.Cryptography;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Push;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Bundles;

/// <summary>Makes a bundle on a developer's machine: <c>supervisor bundle DIR --key FILE --output FILE</c>. The folder is laid out as a boot partition:
/// a compose file with what it needs, and <c>apps/</c> with the images (<c>docker save</c>).</summary>
internal static class BundleCommand
{
    /// <summary>The command that makes a key, up to the name of its file.</summary>
    private const string MakeKey = "openssl ecparam -name prime256v1 -genkey -noout -out";

    public const string Usage = $"""
        usage: supervisor bundle DIR --key FILE --output FILE [--sequence N] [--valid-until DATE] [--for NAME ...]

          DIR                  compose.yaml, .env and the files they name, and apps/*.tar made with docker save
          --key FILE           the private key: {MakeKey} FILE
          --sequence N         grows with every bundle; seconds since 1970 when it is not given
          --valid-until DATE   2027-01-31 or 2027-01-31T12:00:00Z
          --for NAME           only for the device with this host name, machine id or board; may be given again
        """;

    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter errors)
    {
        try
        {
            var options = Options.Parse(args, DateTimeOffset.UtcNow);
            using var key = await ReadKeyAsync(options.Key);
            var manifest = await WriteAsync(options, key, errors);
            await output.WriteLineAsync($"{options.Output}: {manifest.App}, number {manifest.Sequence}, {manifest.Files.Count - 1} archives, {manifest.Files.Sum(f => f.Size) >> 20} MiB");
            await output.WriteLineAsync($"devices take it with this line in config.yaml:\nbundle-keys: [{Convert.ToBase64String(key.ExportSubjectPublicKeyInfo())}]");
            return 0;
        }
        catch (Exception e) when (e is FormatException or ArgumentException or CryptographicException or IOException or UnauthorizedAccessException)
        {
            await errors.WriteLineAsync(e.Message);
            return 2;
        }
    }

    /// <exception cref="FormatException">There is no key that can sign a bundle; it says how to make one.</exception>
    private static async Task<ECDsa> ReadKeyAsync(string file)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(await File.ReadAllTextAsync(file));
            return key.KeySize == 256 ? key : throw new FormatException($"{file} is no key of the curve P-256; make one: {MakeKey} FILE");
        }
        catch (Exception e)
        {
            key.Dispose();
            if (e is FileNotFoundException or DirectoryNotFoundException) throw new FormatException($"there is no key {file}; make one: {MakeKey} {file}");
            if (e is CryptographicException or ArgumentException) throw new FormatException($"the key {file} cannot be used ({e.Message}); make one: {MakeKey} FILE");
            throw;
        }
    }

    /// <exception cref="FormatException">The folder is no whole bundle, and why.</exception>
    private static async Task<BundleManifest> WriteAsync(Options options, ECDsa key, TextWriter errors)
    {
        var (handover, result) = PushCommand.ReadFolder(options.Folder);
        foreach (var remark in result.Diagnostics) await errors.WriteLineAsync(remark.ToString());
        if (result.Release is not { } release) throw new FormatException($"the compose file in {options.Folder} is wrong");
        var archives = new ArchiveIndex(Path.Combine(options.Folder, "apps"));
        var known = archives.Read();
        foreach (var (file, reason) in archives.Broken) throw new FormatException($"{file} cannot be used: {reason}");
        foreach (var service in release.Services.Values)
            if (!known.ContainsKey(ImageReference.Normalize(service.Image))) throw new FormatException($"the image {service.Image} of {service.Name} is in no archive in {options.Folder}/apps: docker save {service.Image} -o {options.Folder}/apps/{service.Name}.tar");

        var compose = handover.ToJson();
        var files = new List<BundleFile> { new(BundleManifest.Compose, compose.Length, Convert.ToHexStringLower(SHA256.HashData(compose))) };
        var sources = known.Values.Distinct().OrderBy(f => f, StringComparer.Ordinal).ToList();
        foreach (var source in sources) files.Add(await DescribeAsync(source));
        var manifest = new BundleManifest(release.App, options.Sequence, options.ValidUntil, options.For.Count == 0 ? null : options.For, files);
        var json = manifest.ToJson();
        await using var to = new FileStream(options.Output, FileMode.Create, FileAccess.Write);
        await using var tar = new TarWriter(to, TarEntryFormat.Pax);
        await AddAsync(tar, BundleManifest.Name, new MemoryStream(json));
        await AddAsync(tar, BundleManifest.Signature, new MemoryStream(key.SignData(json, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)));
        await AddAsync(tar, BundleManifest.Compose, new MemoryStream(compose));
        foreach (var source in sources)
        {
            await using var stream = File.OpenRead(source);
            await AddAsync(tar, Path.GetFileName(source), stream);
        }

        return manifest;
    }

    private static async Task<BundleFile> DescribeAsync(string path)
    {
        await using var stream = File.OpenRead(path);
        return new(Path.GetFileName(path), stream.Length, Convert.ToHexStringLower(await SHA256.HashDataAsync(stream)));
    }

    private static Task AddAsync(TarWriter tar, string name, Stream content) =>
        tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = content, ModificationTime = DateTimeOffset.UnixEpoch });

    private sealed record Options(string Folder, string Key, string Output, long Sequence, DateTimeOffset? ValidUntil, List<string> For)
    {
        /// <exception cref="FormatException">The arguments are not those of the usage.</exception>
        public static Options Parse(string[] args, DateTimeOffset now)
        {
            var options = new Options("", "", "", now.ToUnixTimeSeconds(), null, []);
            for (var i = 0; i < args.Length; i++)
            {
                if (!args[i].StartsWith("--", StringComparison.Ordinal) && options.Folder.Length == 0)
                {
                    options = options with { Folder = args[i] };
                    continue;
                }

                if (i + 1 >= args.Length) throw new FormatException(Usage);
                var value = args[++i];
                options = args[i - 1] switch
                {
                    "--key" => options with { Key = value },
                    "--output" => options with { Output = value },
                    "--sequence" when long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => options with { Sequence = number },
                    "--valid-until" when DateTimeOffset.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) => options with { ValidUntil = date.ToUniversalTime() },
                    "--for" => options with { For = [.. options.For, value] },
                    _ => throw new FormatException(Usage),
                };
            }

            return options is { Folder.Length: > 0, Key.Length: > 0, Output.Length: > 0 } ? options : throw new FormatException(Usage);
        }
    }
}
