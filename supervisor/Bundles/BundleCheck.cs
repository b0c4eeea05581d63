using System.Security.Cryptography;

namespace OsBuild.Supervisor.Bundles;

/// <summary>A bundle is not taken; the message is one sentence for a person.</summary>
internal sealed class BundleRefusedException(string message) : Exception(message);

/// <summary>Whether a bundle may be taken. Pure: bytes and facts in, nothing or the reason out.</summary>
internal static class BundleCheck
{
    /// <summary>The manifest must be signed (ECDSA P-256 over SHA-256, DER as openssl writes it) with one of the keys.</summary>
    /// <param name="manifest">The bytes of bundle.json.</param>
    /// <param name="signature">Those of bundle.sig.</param>
    /// <param name="keys">Public keys (SubjectPublicKeyInfo in base64), as config.yaml names them.</param>
    public static string? Signature(byte[] manifest, byte[] signature, IReadOnlyList<string> keys)
    {
        if (keys.Count == 0) return "this device takes no bundles: config.yaml on its boot partition has no bundle-keys";
        try
        {
            foreach (var key in keys)
            {
                using var ecdsa = ECDsa.Create();
                try
                {
                    ecdsa.ImportSubjectPublicKeyInfo(Convert.FromBase64String(key), out _);
                    if (ecdsa.VerifyData(manifest, signature, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)) return null;
                }
                catch (Exception e) when (e is CryptographicException or FormatException)
                {
                    // A key or signature that is none verifies nothing; the next key may.
                }
            }

            return "the bundle is not signed with a key that config.yaml of this device names (bundle-keys)";
        }
        catch (Exception e) when (e is TypeInitializationException or DllNotFoundException)
        {
            return "the bundle's signature cannot be verified: libssl 1.1 or 3 is missing; add openssl to the root file system";
        }
    }

    /// <summary>Whether a manifest whose signature is good is for this device and this time.</summary>
    /// <param name="manifest">The manifest.</param>
    /// <param name="digest">The digest of its bytes.</param>
    /// <param name="names">What this device is called: host name, machine id, board.</param>
    /// <param name="now">The device's clock. Without a time source it is behind, never ahead: what it calls expired is.</param>
    /// <param name="last">The bundle taken last.</param>
    public static string? Manifest(BundleManifest manifest, string digest, IReadOnlyCollection<string> names, DateTimeOffset now, BundleMark? last)
    {
        if (manifest.For is { } wanted && !wanted.Exists(names.Contains)) return $"the bundle is for {string.Join(" or ", wanted)}, and this device is {string.Join(", ", names)}";
        if (manifest.ValidUntil is { } until && until < now) return $"the bundle was valid until {until:u}, and this device's clock says {now:u}";
        if (last is null || last.App != manifest.App) return null;
        if (manifest.Sequence < last.Sequence) return $"the bundle is older (number {manifest.Sequence}) than the one this device took last (number {last.Sequence}); make it anew to go back on purpose";
        return manifest.Sequence == last.Sequence && digest != last.Digest ? $"another bundle of {manifest.App} with the number {manifest.Sequence} was taken already; give this one a higher number" : null;
    }
}
