namespace OsBuild.Supervisor.Fleet;

/// <summary>Makes the device known to its fleet. Every call may be repeated: a power cut between two of them costs nothing.</summary>
internal static class Provisioning
{
    /// <summary>One try. Gives null when the fleet knows the device and its key, else what is in the way.</summary>
    public static async Task<ApiAnswer?> TryAsync(FleetApi api, FleetIdentity identity, FleetConfig config, DeviceFacts facts, string mac, CancellationToken stop)
    {
        var answer = await api.RegisterAsync(identity, config, facts, mac, stop);
        if (answer.Ok) return null;
        if (answer.Status != 409) return answer;
        // The uuid is taken: by ourselves before a power cut, or by the life this device had before it lost its key.
        var (seen, known) = await api.FindAsync(identity.Uuid, identity.DeviceKey, stop);
        if (known is not null) return null;
        if (!seen.Reached) return seen;
        var (found, id) = await api.FindAsync(identity.Uuid, config.ApiKey ?? "", stop);
        if (id is null) return found.Ok ? answer : found;
        var exchanged = await api.ExchangeKeyAsync(id.Value, identity.DeviceKey, config.ApiKey ?? "", stop);
        return exchanged.Ok ? null : exchanged;
    }
}
