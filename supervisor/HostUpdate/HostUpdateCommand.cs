using System.Net.Sockets;
using OsBuild.Supervisor.Api;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>Names the host's image and waits for the verdict, over the boots that it takes.</summary>
internal static class HostUpdateCommand
{
    private const string ToConfiguration = "config.yaml";
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    /// <returns>0 good (or not waited for), 1 bad.</returns>
    public static async Task<int> RunAsync(Client client, string image, bool wait, TextWriter output)
    {
        using var answer = await client.SendAsync(image == ToConfiguration ? new(HttpMethod.Delete, "v1/host") : new(HttpMethod.Post, "v1/host") { Content = new StringContent(image) });
        if (!wait || image == ToConfiguration) return 0;
        var said = "";
        while (true)
        {
            await Task.Delay(Look);
            var text = said;
            try
            {
                var status = await client.GetAsync("v1/status", ApiJson.Default.StatusReport);
                if (status.HostUpdate is not { } update || update.Wanted != image) continue;
                if (update.State is "good" or "bad")
                {
                    await output.WriteLineAsync(update.State == "good" ? $"{update.Good} is good" : $"{update.Bad[^1]}; the old host runs");
                    return update.State == "good" ? 0 : 1;
                }

                text = update.State == "on trial" ? $"{update.Trial} is on trial" : status.Problems.GetValueOrDefault(HostUpdateAgent.Service) ?? update.Doing ?? status.Downloads.Values.FirstOrDefault() ?? said;
            }
            catch (Exception e) when (e is HttpRequestException or SocketException or IOException or TaskCanceledException)
            {
                text = "the device is restarting";
            }

            if (text != said) await output.WriteLineAsync(said = text);
        }
    }
}
