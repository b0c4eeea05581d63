using System.Text.Json;

namespace OsBuild.SystemTests;

/// <summary>A device as its owner sees it from another machine: the published supervisor's verbs, over the network with the device's key.</summary>
internal sealed class RemoteDevice(string address, string key)
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);

    /// <summary>The device in a machine that is on, as soon as its API is there.</summary>
    public static RemoteDevice In(Machine machine)
    {
        var key = machine.WaitFor(@"page: port 8008, key ([\w-]+)", Long).Groups[1].Value;
        return new(machine.Forward(8008), key);
    }

    /// <summary>Runs a verb to its end, whatever comes of it.</summary>
    public Judge.Verdict Ask(params string[] words) => Judge.Run(Long, Checkout.Program("supervisor"), [.. words, "--to", address, "--key", key]);

    public JsonElement Status() => JsonDocument.Parse(Ask("status", "--json").MustPass("supervisor status").Output).RootElement;

    /// <summary>Waits until the status is as it should be, and gives it.</summary>
    public JsonElement Until(string what, Func<JsonElement, bool> met)
    {
        var deadline = DateTime.UtcNow + Long;
        while (true)
        {
            var status = Status();
            if (met(status)) return status;
            Assert.True(DateTime.UtcNow < deadline, $"not within {Long}: {what}\n{status}");
            Thread.Sleep(1000);
        }
    }

    /// <summary>State of the one app's release that is wanted; empty before one is.</summary>
    public static string Release(JsonElement status) => status.GetProperty("releases").EnumerateArray().FirstOrDefault() is { ValueKind: JsonValueKind.Object } release ? release.GetProperty("state").GetString()! : "";

    /// <summary>How many containers a status has.</summary>
    public static int Containers(JsonElement status) => status.GetProperty("services").EnumerateArray().Count(s => s.GetProperty("container").GetString()!.Length > 0);
}
