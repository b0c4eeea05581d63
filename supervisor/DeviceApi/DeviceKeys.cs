using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>Who asks: everything is open to the holder of the device's own key, and to a service only what concerns its app.</summary>
internal sealed record Caller(string? App, string? Service)
{
    public static readonly Caller Owner = new(null, null);

    public bool IsOwner => App is null;

    public bool MayTouch(string app) => App is null || App == app;
}

/// <summary>What all keys are made from; kept on the state partition.</summary>
internal sealed record KeySeed(string Secret, int Generation);

/// <summary>The keys of the device API. A service's key is derived from its name, so it is the same after every start and is stored nowhere.</summary>
internal sealed class DeviceKeys(KeySeed seed, Action<KeySeed> save)
{
    private KeySeed seed = seed;

    public static DeviceKeys Open(string stateDirectory)
    {
        var file = new KeptFile<KeySeed>(Path.Combine(stateDirectory, "device-keys.json"), DeviceJson.Default.KeySeed, s => s is { Secret.Length: 64 }, secret: true);
        var seed = file.Load();
        if (seed is null) file.Save(seed = new(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)), 1));
        return new(seed, file.Save);
    }

    /// <summary>The device's own key; the fleet is told it.</summary>
    public string Global => Derive($"global/{seed.Generation}");

    public string ForService(string app, string service) => Derive($"service/{app}/{service}");

    /// <summary>Makes another device key. Those of the services stay, or they would all have to restart.</summary>
    public string Regenerate()
    {
        var next = seed with { Generation = seed.Generation + 1 };
        save(next);
        seed = next;
        return Global;
    }

    /// <summary>Whose key this is; null for nobody's.</summary>
    public Caller? Identify(string? key, TargetState? target)
    {
        if (key is null || key.Length != Global.Length) return null;
        if (Same(key, Global)) return Caller.Owner;
        foreach (var app in target?.Apps ?? [])
            foreach (var service in app.Services.Keys)
                if (Same(key, ForService(app.App, service))) return new(app.App, service);
        return null;
    }

    private string Derive(string purpose) => Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.ASCII.GetBytes(seed.Secret), Encoding.UTF8.GetBytes(purpose)))[..32];

    private static bool Same(string a, string b) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(a), Encoding.UTF8.GetBytes(b));
}

/// <summary>How many requests are answered: a burst, then so many a second.</summary>
internal sealed class RateLimit(double burst, double perSecond)
{
    private readonly Lock gate = new();
    private double used;
    private TimeSpan last;

    public bool Allow(TimeSpan now)
    {
        lock (gate)
        {
            used = Math.Max(0, used - Math.Max(0, (now - last).TotalSeconds) * perSecond);
            last = now;
            if (used + 1 > burst) return false;
            used++;
            return true;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(KeySeed))]
[JsonSerializable(typeof(PushedTarget))]
internal sealed partial class DeviceJson : JsonSerializerContext;
