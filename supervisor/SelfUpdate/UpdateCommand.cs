using System.Net.Sockets;
using OsBuild.Supervisor.Api;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>Names the supervisor's image and waits for the verdict, over the moment in which one worker leaves and the other takes over.</summary>
internal static class UpdateCommand
{
    private const string ToConfiguration = "config.yaml";
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(500);

    /// <returns>0 good (or not waited for), 1 bad.</returns>
    public static async Task<int> RunAsync(Client client, string image, bool wait, TextWriter output)
    {
        using var before = await client.SendAsync(image == ToConfiguration ? new(HttpMethod.Delete, "v1/supervisor") : new(HttpMethod.Post, "v1/supervisor") { Content = new StringContent(image) });
        if (!wait || image == ToConfiguration) return 0;
        var said = "";
        while (true)
        {
            await Task.Delay(Look);
            try
            {
                var status = await client.GetAsync("v1/status", ApiJson.Default.StatusReport);
                if (status.Supervisor is not { } update || update.Wanted != image) continue;
                if (update.State is "good" or "bad")
                {
                    await output.WriteLineAsync(update.State == "good" ? $"{update.Good} is good" : $"{update.Bad[^1]}; {update.Good} runs");
                    return update.State == "good" ? 0 : 1;
                }

                var text = update.Trial is { } trial ? $"{trial} is on trial" : status.Problems.GetValueOrDefault(SelfUpdateAgent.Service) ?? said;
                if (text != said) await output.WriteLineAsync(said = text);
            }
            catch (Exception e) when (e is HttpRequestException or SocketException or IOException)
            {
                // One worker has left, and the next has not opened its socket yet.
            }
        }
    }
}
