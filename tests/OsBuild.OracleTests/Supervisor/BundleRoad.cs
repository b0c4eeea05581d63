using System.Security.Cryptography;
using OsBuild.Supervisor.Bundles;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>An update from a signed file on a real engine, with nothing to download from.</summary>
[Collection("engine 3")]
public sealed class BundleRoad(EngineFixture fixture)
{
    private static async Task<string> MakeAsync(Device device, string key, string version, int sequence)
    {
        var (folder, said) = (Path.Combine(device.Root, "app" + version), new StringWriter());
        Directory.CreateDirectory(Path.Combine(folder, "apps"));
        await File.WriteAllTextAsync(Path.Combine(folder, "compose.yaml"), $$"""
            name: {{device.App}}
            services:
              web: { image: "bundled:{{version}}", restart: always, stop_grace_period: 1s }
            """);
        await File.WriteAllBytesAsync(Path.Combine(folder, "apps", "web.tar"), TestImages.Archive("bundled:" + version));
        Assert.True(await BundleCommand.RunAsync([folder, "--key", key, "--output", folder + ".tar", "--sequence", $"{sequence}"], said, said) == 0, $"{said}");
        return folder + ".tar";
    }

    [Fact]
    public async Task S100_101_A_bundle_updates_a_device_without_a_registry_and_a_forged_one_changes_nothing()
    {
        await using var device = await Device.NewAsync(fixture);
        var key = Path.Combine(device.Root, "key.pem");
        // Keys and signatures are openssl's own format.
        Judge.Run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key).MustPass("openssl");
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportFromPem(await File.ReadAllTextAsync(key));
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Boot, "config.yaml"), $"bundle-keys: [{Convert.ToBase64String(ecdsa.ExportSubjectPublicKeyInfo())}]\n");
        device.Start();
        await device.UntilAsync("the worker answers", _ => true);
        var first = await MakeAsync(device, key, "1", 1);
        Assert.Contains("The bundle is taken", await device.AskAsync("apply", first));
        await device.UntilAsync("the first bundle is good", s => s.Releases is [{ State: "good" }] && s.Services is [{ Image: "bundled:1", State: "running" }]);

        Judge.Run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key + ".other").MustPass("openssl");
        Assert.Contains("is not signed with a key", await device.AskAsync("apply", await MakeAsync(device, key + ".other", "2", 2)));
        Assert.Equal("bundled:1", (await device.StatusAsync()).Services.Single().Image);
        Assert.Contains("is not signed with a key", await File.ReadAllTextAsync(Path.Combine(device.Paths.Data, "supervisor", "history")));

        Assert.Contains("The bundle is taken", await device.AskAsync("apply", await MakeAsync(device, key, "2", 2)));
        await device.UntilAsync("the second bundle is good", s => s.Releases is [{ State: "good" }] && s.Services is [{ Image: "bundled:2", State: "running" }]);
        Assert.Contains("the bundle is older (number 1)", await device.AskAsync("apply", first));
        Assert.DoesNotContain(device.Lines, l => l.StartsWith("pull ", StringComparison.Ordinal) || l.Contains(" pull "));

        // openssl agrees about the signature.
        var unpacked = Directory.CreateDirectory(Path.Combine(device.Root, "unpacked")).FullName;
        Judge.Run("tar", "-xf", first, "-C", unpacked).MustPass("tar");
        await File.WriteAllTextAsync(Path.Combine(unpacked, "public.pem"), ecdsa.ExportSubjectPublicKeyInfoPem());
        Assert.Contains("Verified OK", Judge.Run("openssl", "dgst", "-sha256", "-verify", Path.Combine(unpacked, "public.pem"), "-signature", Path.Combine(unpacked, "bundle.sig"), Path.Combine(unpacked, "bundle.json")).MustPass("openssl").Output);
    }
}
