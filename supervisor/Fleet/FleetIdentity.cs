using System.Security.Cryptography;
using System.Text;

namespace OsBuild.Supervisor.Fleet;

/// <summary>Who this device is to its fleet.</summary>
/// <param name="Endpoint">The fleet's API; another one means another registration.</param>
/// <param name="Application">The fleet's number, when known.</param>
/// <param name="Uuid">The device's public name.</param>
/// <param name="DeviceKey">Its secret. Made here and on the medium before it is first sent, so a power cut never leaves the fleet knowing a key that the device does not.</param>
/// <param name="Registered">The fleet has accepted uuid and key.</param>
internal sealed record FleetIdentity(string Endpoint, long? Application, string Uuid, string DeviceKey, bool Registered)
{
    /// <summary>The device's name when it first heard of it. Containers are told this one, since a new name must not restart them.</summary>
    public string? FirstName { get; init; }

    /// <summary>The identity to go on with: the kept one when it is of this fleet, else one to register with.</summary>
    /// <param name="kept">What the state partition has.</param>
    /// <param name="config">config.json.</param>
    /// <param name="machineId">Makes the uuid, so that a device that lost everything but this comes back as itself.</param>
    /// <param name="random">32 random bytes for a new key.</param>
    public static FleetIdentity For(FleetIdentity? kept, FleetConfig config, string machineId, ReadOnlySpan<byte> random)
    {
        var endpoint = config.ApiEndpoint!.GetLeftPart(UriPartial.Authority);
        var ours = kept is not null && kept.Endpoint == endpoint && (config.Uuid is null || kept.Uuid == config.Uuid)
            && (config.ApplicationId is null || kept.Application is null || kept.Application == config.ApplicationId);
        if (ours) return kept!;
        var uuid = config.Uuid ?? Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.ASCII.GetBytes(machineId), Encoding.ASCII.GetBytes("fleet " + endpoint)))[..32];
        return config.DeviceApiKey is { } given && config.Uuid is not null
            ? new(endpoint, config.ApplicationId, uuid, given, Registered: true)
            : new(endpoint, config.ApplicationId, uuid, Convert.ToHexStringLower(random[..16]), Registered: false);
    }
}

/// <summary>What the fleet said about the device itself.</summary>
internal sealed record DeviceSettings(string Name, SortedDictionary<string, string> Config)
{
    public bool Same(DeviceSettings? other) => other is not null && Name == other.Name && Config.SequenceEqual(other.Config);
}
