using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Api;

/// <summary>The command line: asks the supervisor that runs.</summary>
internal static class Cli
{
    public const string Usage = """
        usage: supervisor status [--json]            host, engine and services
               supervisor why SERVICE [--json]       what was done with a service, and why
               supervisor plan [--json]              what would be done now, without doing it
               supervisor logs [SERVICE] [-f] [--tail N]
               supervisor apply COMPOSE-FILE         run this compose file from now on
               supervisor start|stop|restart SERVICE
               supervisor poweroff|reboot            the whole device
               supervisor worker [--containers-only] what PID 1 starts; under another init without network and time
        """;

    public static async Task<int> RunAsync(string[] args, HostPaths paths, TextWriter output, TextWriter errors)
    {
        try
        {
            using var client = Client(paths.ApiSocket);
            var json = args.Contains("--json");
            return args.Where(a => a != "--json").ToArray() switch
            {
                ["status"] => await ShowAsync(client, "v1/status", body => json ? body : CliText.Status(JsonSerializer.Deserialize(body, ApiJson.Default.StatusReport)!), output, errors),
                ["why", var service] => await ShowAsync(client, "v1/why/" + Uri.EscapeDataString(service), body => json ? body : CliText.Why(JsonSerializer.Deserialize(body, ApiJson.Default.WhyReport)!), output, errors),
                ["plan"] => await ShowAsync(client, "v1/plan", body => json ? body : CliText.Plan(JsonSerializer.Deserialize(body, ApiJson.Default.PlanReport)!), output, errors),
                ["logs", .. var rest] => await LogsAsync(client, rest, errors),
                ["apply", var file] => await ApplyAsync(client, file, output, errors),
                [("start" or "stop" or "restart") and var verb, var service] => await PostAsync(client, $"v1/services/{Uri.EscapeDataString(service)}/{verb}", errors),
                _ => Bad(errors),
            };
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException)
        {
            await errors.WriteLineAsync($"The supervisor does not answer on {paths.ApiSocket}: {(e.InnerException ?? e).Message}. Is it running, and are you root?");
            return 1;
        }
    }

    private static HttpClient Client(string socket) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        ActivityHeadersPropagator = null,
        ConnectCallback = async (_, stop) =>
        {
            var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), stop);
            return new NetworkStream(connection, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://supervisor/"), Timeout = Timeout.InfiniteTimeSpan };

    private static async Task<int> ShowAsync(HttpClient client, string path, Func<string, string> show, TextWriter output, TextWriter errors)
    {
        using var answer = await client.GetAsync(path);
        var body = await answer.Content.ReadAsStringAsync();
        if (!answer.IsSuccessStatusCode)
        {
            await errors.WriteAsync(body);
            return 1;
        }

        await output.WriteLineAsync(show(body).TrimEnd());
        return 0;
    }

    private static async Task<int> LogsAsync(HttpClient client, string[] args, TextWriter errors)
    {
        var (service, query) = ("", "");
        for (var i = 0; i < args.Length; i++)
            if (args[i] is "-f" or "--follow") query += "&follow=1";
            else if (args[i] == "--tail" && i + 1 < args.Length) query += "&tail=" + Uri.EscapeDataString(args[++i]);
            else if (args[i].StartsWith('-') || service.Length > 0) return Bad(errors);
            else service = args[i];
        using var answer = await client.GetAsync($"v1/logs{(service.Length > 0 ? "/" + Uri.EscapeDataString(service) : "")}?{query}", HttpCompletionOption.ResponseHeadersRead);
        if (!answer.IsSuccessStatusCode)
        {
            await errors.WriteAsync(await answer.Content.ReadAsStringAsync());
            return 1;
        }

        await using var output = Console.OpenStandardOutput();
        await answer.Content.CopyToAsync(output);
        return 0;
    }

    private static async Task<int> ApplyAsync(HttpClient client, string file, TextWriter output, TextWriter errors)
    {
        if (!File.Exists(file))
        {
            await errors.WriteLineAsync($"There is no file {file}.");
            return 2;
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/compose") { Content = new ByteArrayContent(await File.ReadAllBytesAsync(file)) };
        var environment = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, ".env");
        if (File.Exists(environment)) request.Headers.Add("x-environment", Convert.ToBase64String(Encoding.UTF8.GetBytes(await File.ReadAllTextAsync(environment))));
        using var answer = await client.SendAsync(request);
        var remarks = JsonSerializer.Deserialize(await answer.Content.ReadAsStringAsync(), ApiJson.Default.ErrorReport)!;
        foreach (var remark in remarks.Errors) await errors.WriteLineAsync(remark);
        if (!answer.IsSuccessStatusCode) return 2;
        await output.WriteLineAsync("Accepted; see 'supervisor status'.");
        return 0;
    }

    private static async Task<int> PostAsync(HttpClient client, string path, TextWriter errors)
    {
        using var answer = await client.PostAsync(path, null);
        if (answer.IsSuccessStatusCode) return 0;
        await errors.WriteAsync(await answer.Content.ReadAsStringAsync());
        return 1;
    }

    private static int Bad(TextWriter errors)
    {
        errors.WriteLine(Usage);
        return 2;
    }
}
