using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using OsBuild.Supervisor.Bundles;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Tests.Supervisor;

/// <summary>Signed bundles: made by the command, taken or refused by a device that has no network.</summary>
public sealed class BundleTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2027, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly string root = Directory.CreateTempSubdirectory("osb-bundle-").FullName;
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly Journal journal;
    private readonly Reconciler reconciler;
    private readonly HostPaths paths;
    private DateTimeOffset clock = Now;

    public BundleTests()
    {
        paths = new(Path.Combine(root, "boot"), Path.Combine(root, "state"), Path.Combine(root, "data"), Path.Combine(root, "run"), Path.Combine(root, "no.sock"));
        foreach (var directory in (string[])[paths.Boot, paths.State, paths.Data, paths.Run]) Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(root, "key.pem"), key.ExportECPrivateKeyPem());
        File.WriteAllText(paths.ConfigYaml, $"hostname: kitchen\nbundle-keys: [{Convert.ToBase64String(key.ExportSubjectPublicKeyInfo())}]\n");
        File.WriteAllText(Path.Combine(paths.State, "machine-id"), "0123456789abcdef0123456789abcdef\n");
        File.WriteAllText(Path.Combine(paths.Boot, "image.json"), """{"board":"raspberrypi4-64"}""");
        journal = Journal.Open(new Places(paths).StateDirectory);
        reconciler = new(paths, journal, new History(Path.Combine(root, "history")), Log);
    }

    private static ILogger Log { get; } = new LoggerConfiguration().CreateLogger();

    public void Dispose()
    {
        key.Dispose();
        journal.Dispose();
        Directory.Delete(root, recursive: true);
    }

    private string Folder(string version = "1")
    {
        var folder = Directory.CreateDirectory(Path.Combine(root, "app" + version)).FullName;
        Directory.CreateDirectory(Path.Combine(folder, "apps"));
        File.WriteAllText(Path.Combine(folder, "compose.yaml"), $"name: shop\nservices:\n  web:\n    image: \"web:{version}\"\n    env_file: more.env\n");
        File.WriteAllText(Path.Combine(folder, "more.env"), "A=b\n");
        using var tar = new TarWriter(File.Create(Path.Combine(folder, "apps", "web.tar")));
        tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "manifest.json") { DataStream = new MemoryStream(Encoding.UTF8.GetBytes($$"""[{"Config":"c.json","RepoTags":["web:{{version}}"],"Layers":[]}]""")) });
        return folder;
    }

    private async Task<string> MadeAsync(string version = "1", params string[] more)
    {
        var (file, said) = (Path.Combine(root, $"bundle-{version}-{Random.Shared.Next()}.tar"), new StringWriter());
        var code = await BundleCommand.RunAsync([Folder(version), "--key", Path.Combine(root, "key.pem"), "--output", file, "--sequence", version, .. more], said, said);
        Assert.True(code == 0, $"{said}");
        return file;
    }

    private async Task TakeAsync(string file)
    {
        using var intake = new BundleIntake(paths, new ComposeWatch(paths, reconciler, Log), () => clock);
        await using var stream = File.OpenRead(file);
        Assert.NotNull((await intake.TakeAsync(stream, CancellationToken.None)).Release);
    }

    /// <summary>It is refused in these words, and nothing has changed.</summary>
    private async Task RefusedAsync(string file, string words)
    {
        var before = journal.Memory.Target;
        var refused = await Assert.ThrowsAsync<BundleRefusedException>(() => TakeAsync(file));
        Assert.Contains(words, refused.Message);
        Assert.DoesNotContain('\n', refused.Message);
        Assert.Same(before, journal.Memory.Target);
        Assert.False(Directory.Exists(new Places(paths).Bundle + ".new"));
    }

    /// <summary>The bundle with some of its members changed or left out.</summary>
    private string Changed(string file, Func<string, byte[], byte[]?> change, params (string Name, byte[] Content)[] more)
    {
        var other = Path.Combine(root, $"changed-{Random.Shared.Next()}.tar");
        using var from = new TarReader(File.OpenRead(file));
        using var to = new TarWriter(File.Create(other), TarEntryFormat.Pax);
        while (from.GetNextEntry(copyData: true) is { } entry)
            if (change(entry.Name, ((MemoryStream)entry.DataStream!).ToArray()) is { } content) Add(entry.Name, content);
        foreach (var (name, content) in more) Add(name, content);
        return other;

        void Add(string name, byte[] content) => to.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) });
    }

    [Fact]
    public async Task S101_A_good_bundle_is_the_target_with_its_images_and_files_and_may_be_taken_again()
    {
        var file = await MadeAsync("1", "--valid-until", "2027-03-02", "--for", "raspberrypi4-64");
        await TakeAsync(file);
        var service = journal.Memory.Target!.Apps.Single().Services["web"];
        Assert.Equal(("shop", "web:1", "b"), (journal.Memory.Target.Apps[0].App, service.Image, service.Container.Environment!["A"]));
        Assert.Equal(["docker.io/library/web:1"], new OsBuild.Supervisor.Engine.ArchiveIndex(new Places(paths).Archives).Read().Keys);
        await TakeAsync(file);
        // The next one takes its place, archives and all.
        await TakeAsync(await MadeAsync("2"));
        Assert.Equal(["docker.io/library/web:2"], new OsBuild.Supervisor.Engine.ArchiveIndex(new Places(paths).Archives).Read().Keys);
        Assert.Equal("web:2", journal.Memory.Target!.Apps[0].Services["web"].Image);
    }

    [Fact]
    public async Task S100_One_that_is_unsigned_or_signed_by_another_is_refused_before_anything_is_written()
    {
        var file = await MadeAsync();
        await RefusedAsync(Changed(file, (name, content) => name == "bundle.sig" ? null : content), "the bundle is not signed; make it with 'supervisor bundle --key FILE'");
        await RefusedAsync(Changed(file, (name, content) => name == "bundle.sig" ? [] : content), "the bundle is not signed");
        await RefusedAsync(Changed(file, (name, content) => name == "bundle.sig" ? [1, 2, 3] : content), "is not signed with a key that config.yaml of this device names");
        await RefusedAsync(Changed(file, (name, content) => name == "bundle.sig" ? [.. content[..^1], (byte)(content[^1] ^ 1)] : content), "is not signed with a key");
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var manifest = Array.Empty<byte>();
        await RefusedAsync(Changed(file, (name, content) => name == "bundle.json" ? manifest = content : name == "bundle.sig" ? other.SignData(manifest, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence) : content), "is not signed with a key");
        // The manifest says something else than was signed.
        await RefusedAsync(Changed(file, (name, content) => name == "bundle.json" ? Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(content).Replace("\"sequence\":1", "\"sequence\":9")) : content), "is not signed with a key");
        Assert.False(Directory.Exists(new Places(paths).Bundle));
    }

    [Fact]
    public async Task S100_Without_a_key_in_its_config_a_device_takes_none_and_with_several_any_will_do()
    {
        var file = await MadeAsync();
        var line = await File.ReadAllTextAsync(paths.ConfigYaml);
        await File.WriteAllTextAsync(paths.ConfigYaml, "hostname: kitchen\n");
        await RefusedAsync(file, "config.yaml on its boot partition has no bundle-keys");
        await File.WriteAllTextAsync(paths.ConfigYaml, "bundle-keys: [nonsense, AAAA]\n");
        await RefusedAsync(file, "is not signed with a key");
        await File.WriteAllTextAsync(paths.ConfigYaml, line.Replace("bundle-keys: [", "bundle-keys: [nonsense, "));
        await TakeAsync(file);
    }

    [Fact]
    public async Task S101_Changed_missing_added_or_cut_off_content_is_refused_by_name()
    {
        var file = await MadeAsync();
        await RefusedAsync(Changed(file, (name, content) => name == "web.tar" ? [.. content[..^1], 1] : content), "web.tar is not what was signed");
        await RefusedAsync(Changed(file, (name, content) => name == "web.tar" ? [.. content, 0] : content), "web.tar has");
        await RefusedAsync(Changed(file, (name, content) => name == "web.tar" ? null : content), "web.tar is missing: the bundle is not whole");
        await RefusedAsync(Changed(file, (name, content) => name == "compose.json" ? null : content), "web.tar is where compose.json should be");
        await RefusedAsync(Changed(file, (_, content) => content, ("more.tar", [1])), "more.tar is in the bundle, but not in its manifest");
        var cut = Path.Combine(root, "cut.tar");
        var whole = await File.ReadAllBytesAsync(file);
        for (var length = 0; length < whole.Length - 1024; length += 300)
        {
            await File.WriteAllBytesAsync(cut, whole[..length]);
            await RefusedAsync(cut, "");
        }

        await File.WriteAllTextAsync(cut, "this is no tar at all");
        await RefusedAsync(cut, "make it with 'supervisor bundle'");
    }

    [Fact]
    public async Task S101_Expired_for_another_machine_or_older_than_what_ran_is_refused()
    {
        var shortLived = await MadeAsync("3", "--valid-until", "2027-03-01T12:00:00Z");
        clock = Now.AddSeconds(1);
        await RefusedAsync(shortLived, "the bundle was valid until 2027-03-01 12:00:00Z, and this device's clock says 2027-03-01 12:00:01Z");
        clock = Now;
        await RefusedAsync(await MadeAsync("3", "--for", "cellar", "--for", "attic"), "the bundle is for cellar or attic, and this device is");
        await TakeAsync(await MadeAsync("3", "--for", "attic", "--for", "0123456789abcdef0123456789abcdef"));
        await RefusedAsync(await MadeAsync("2"), "the bundle is older (number 2) than the one this device took last (number 3)");
        await RefusedAsync(await MadeAsync("3"), "another bundle of shop with the number 3 was taken already");
        await TakeAsync(await MadeAsync("4"));
    }

    [Fact]
    public async Task S101_A_signed_bundle_with_a_wrong_compose_file_changes_nothing_and_says_the_line()
    {
        await TakeAsync(await MadeAsync("1"));
        var before = journal.Memory.Target;
        var handover = new Handover("services:\n  web:\n    nonsense: 1\n", null, [], []).ToJson();
        var manifest = new BundleManifest("shop", 2, null, null, [new("compose.json", handover.Length, Convert.ToHexStringLower(SHA256.HashData(handover)))]).ToJson();
        var file = Path.Combine(root, "wrong.tar");
        using (var tar = new TarWriter(File.Create(file)))
            foreach (var (name, content) in new[] { ("bundle.json", manifest), ("bundle.sig", key.SignData(manifest, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)), ("compose.json", handover) })
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) });
        using var intake = new BundleIntake(paths, new ComposeWatch(paths, reconciler, Log), () => clock);
        await using var stream = File.OpenRead(file);
        var result = await intake.TakeAsync(stream, CancellationToken.None);
        Assert.Null(result.Release);
        Assert.Contains("compose.yaml:3: services.web.nonsense", result.Explain());
        Assert.Same(before, journal.Memory.Target);
        Assert.True(File.Exists(Path.Combine(new Places(paths).Bundle, "web.tar")));
    }

    [Fact]
    public void A_manifest_cannot_name_files_outside_its_folder()
    {
        foreach (var name in (string[])["../x", "/etc/passwd", "a/b", "..", ".", "", "bundle.sig"])
            Assert.Throws<System.Text.Json.JsonException>(() => BundleManifest.Parse(new BundleManifest("a", 1, null, null, [new(name, 1, new('0', 64))]).ToJson()));
        Assert.Throws<System.Text.Json.JsonException>(() => BundleManifest.Parse(new BundleManifest("a", 1, null, null, [new("x", 1, new('0', 64)), new("x", 1, new('0', 64))]).ToJson()));
    }

    [Theory]
    [InlineData("image", "the image other:1 of web is in no archive")]
    [InlineData("key", "key.pem cannot be used")]
    [InlineData("missing", "/none.pem; make one: openssl ecparam -name prime256v1 -genkey -noout -out ")]
    [InlineData("curve", "is no key of the curve P-256")]
    [InlineData("usage", "usage: supervisor bundle DIR")]
    public async Task The_command_says_what_is_wrong(string what, string words)
    {
        var (folder, pem, said) = (Folder(), Path.Combine(root, "key.pem"), new StringWriter());
        if (what == "image") await File.WriteAllTextAsync(Path.Combine(folder, "compose.yaml"), "services:\n  web:\n    image: \"other:1\"\n");
        if (what == "key") await File.WriteAllTextAsync(pem, "no key");
        if (what == "missing") pem = Path.Combine(root, "none.pem");
        using var wide = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        if (what == "curve") await File.WriteAllTextAsync(pem, wide.ExportECPrivateKeyPem());
        string[] args = [folder, "--key", pem, "--output", Path.Combine(root, "x.tar"), .. what == "usage" ? ["--what"] : Array.Empty<string>()];
        Assert.Equal(2, await BundleCommand.RunAsync(args, said, said));
        Assert.Contains(words, $"{said}");
    }
}
