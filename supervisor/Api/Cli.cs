using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Push;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Supervisor.Api;

/// <summary>The command line: asks the supervisor of this device, or with --to one over the network.</summary>
internal static class Cli
{
    public static readonly string[] Verbs = ["status", "why", "plan", "logs", "apply", "push", "start", "stop", "restart", "rollback", "key", "update", "poweroff", "reboot"];

    public const string Usage = """
        usage: supervisor VERB ...

          status [--json]             host, engine, releases and services
          why SERVICE [--json]        what was done with a service, and why
          plan [--json]               what would be done now, without doing it
          logs [SERVICE] [-f] [--since WHEN] [--tail N] [--times]
                                      WHEN is 10m, 2h30m or a date; -f goes on with what comes
          apply COMPOSE-FILE|BUNDLE   run this compose file, or this bundle, from now on
          bundle DIR --key FILE --output FILE
                                      make a signed bundle of a compose file and its images
          push DIR --to ADDRESS [--no-wait]
                                      build DIR on the device, run it, wait until it has proved itself
          rollback APP                go back to the release that was good before
          start|stop|restart SERVICE
          update IMAGE [--no-wait]    run the supervisor that is in this image; built-in is the root's own,
                                      config.yaml leaves it to that file
          update --host IMAGE [--no-wait]
                                      write this host (kernel and root) into the other slot and boot it; the old
                                      one is back when it does not prove itself; config.yaml leaves it to that file
          key [--new]                 show the key of this device; --new makes another one

          --to ADDRESS [--key KEY]    ask a device over the network (a key that was good is remembered;
                                      OSBUILD_KEY works too)
          poweroff|reboot             the whole device; with --to not while an app holds an update lock
          service                     what another init starts: keeps the worker running and updates it
          worker [--containers-only]  what PID 1 starts; under another init without network and time

        exit code: 0 done, 1 failed, 2 refused or bad usage
        """;

    public static async Task<int> RunAsync(string[] args, HostPaths paths, TextWriter output, TextWriter errors)
    {
        if (CliOptions.Parse(args) is not { } options)
        {
            await errors.WriteLineAsync(Usage);
            return 2;
        }

        Client? client = null;
        try
        {
            client = Open(options, paths);
            var code = await RunAsync(client, options, output, errors);
            if (code == 0 && options is { To: { } to, Key: { } key }) KnownKeys.OfUser().Remember(to, key);
            return code;
        }
        catch (RefusedException e)
        {
            await errors.WriteLineAsync(e.Message);
            return e.Status is 401 or 403 or 404 or 409 or 422 or 423 ? 2 : 1;
        }
        catch (FormatException e)
        {
            await errors.WriteLineAsync(e.Message);
            return 2;
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException)
        {
            var hint = options.To is null ? "Is it running, and are you root?" : "Is it on, and is the address right?";
            await errors.WriteLineAsync($"The supervisor does not answer on {client?.Where ?? options.To}: {(e.InnerException ?? e).Message}. {hint}");
            return 1;
        }
        finally
        {
            client?.Dispose();
        }
    }

    private static Client Open(CliOptions options, HostPaths paths)
    {
        if (options.To is not { } to) return Client.Local(paths.ApiSocket);
        var key = options.Key ?? Environment.GetEnvironmentVariable("OSBUILD_KEY") ?? KnownKeys.OfUser().Find(to);
        return Client.Remote(to, key ?? throw new FormatException($"The key of {to} is needed once: --key KEY ('supervisor key' on the device shows it)."));
    }

    private static Task<int> RunAsync(Client client, CliOptions options, TextWriter output, TextWriter errors) => options.Words switch
    {
        ["status"] => ShowAsync(client, "v1/status", ApiJson.Default.StatusReport, CliText.Status, options, output),
        ["why", var service] => ShowAsync(client, "v1/why/" + Uri.EscapeDataString(service), ApiJson.Default.WhyReport, CliText.Why, options, output),
        ["plan"] => ShowAsync(client, "v1/plan", ApiJson.Default.PlanReport, CliText.Plan, options, output),
        ["logs"] or ["logs", _] => LogsAsync(client, options),
        ["apply", var file] => PushCommand.ApplyAsync(client, file, output, errors),
        ["push", var directory] => new PushCommand(client, output, errors).RunAsync(directory, !options.NoWait),
        [("start" or "stop" or "restart") and var verb, var service] => DoAsync(client, $"v1/services/{Uri.EscapeDataString(service)}/{verb}"),
        ["rollback", var app] => DoAsync(client, "v1/rollback/" + Uri.EscapeDataString(app)),
        ["update", var image] => options.Host ? HostUpdateCommand.RunAsync(client, image, !options.NoWait, output) : UpdateCommand.RunAsync(client, image, !options.NoWait, output),
        [("poweroff" or "reboot") and var verb] => DoAsync(client, "v1/" + verb),
        ["key"] => KeyAsync(client, options, output, errors),
        _ => throw new FormatException(Usage),
    };

    private static async Task<int> ShowAsync<T>(Client client, string path, JsonTypeInfo<T> type, Func<T, string> show, CliOptions options, TextWriter output)
    {
        var report = await client.GetAsync(path, type);
        await output.WriteLineAsync(options.Json ? JsonSerializer.Serialize(report, type) : show(report).TrimEnd());
        return 0;
    }

    private static async Task<int> LogsAsync(Client client, CliOptions options)
    {
        var service = options.Words is [_, var name] ? "/" + Uri.EscapeDataString(name) : "";
        var query = string.Join('&', ((string?[])[options.Follow ? "follow=1" : null, options.Times ? "times=1" : null, options.Tail is { } t ? "tail=" + Uri.EscapeDataString(t) : null, options.Since is { } s ? "since=" + Uri.EscapeDataString(s) : null]).OfType<string>());
        await using var lines = await client.StreamAsync(new(HttpMethod.Get, $"v1/logs{service}?{query}"));
        await using var to = Console.OpenStandardOutput();
        await lines.CopyToAsync(to);
        return 0;
    }

    private static async Task<int> DoAsync(Client client, string path)
    {
        await client.PostAsync(path);
        return 0;
    }

    private static async Task<int> KeyAsync(Client client, CliOptions options, TextWriter output, TextWriter errors)
    {
        if (options.To is not null) throw new FormatException("The key is only shown on the device itself.");
        if (options.New) await client.PostAsync("v1/key");
        var report = await client.GetAsync("v1/key", ApiJson.Default.KeyReport);
        if (report.Warning is { } warning) await errors.WriteLineAsync(warning);
        await output.WriteLineAsync(report.Key);
        return 0;
    }
}

/// <summary>What was given on the command line; null when it makes no sense.</summary>
internal sealed record CliOptions
{
    public List<string> Words { get; init; } = [];
    public string? To { get; set; }
    public string? Key { get; set; }
    public string? Since { get; set; }
    public string? Tail { get; set; }
    public bool Json { get; set; }
    public bool Follow { get; set; }
    public bool Times { get; set; }
    public bool New { get; set; }
    public bool NoWait { get; set; }
    public bool Host { get; set; }

    public static CliOptions? Parse(string[] args)
    {
        var options = new CliOptions();
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--json": options.Json = true; break;
                case "-f" or "--follow": options.Follow = true; break;
                case "--times": options.Times = true; break;
                case "--new": options.New = true; break;
                case "--no-wait": options.NoWait = true; break;
                case "--host": options.Host = true; break;
                case "--to" or "--key" or "--since" or "--tail" when i + 1 == args.Length: return null;
                case "--to": options.To = args[++i]; break;
                case "--key": options.Key = args[++i]; break;
                case "--since": options.Since = args[++i]; break;
                case "--tail": options.Tail = args[++i]; break;
                case var word when word.StartsWith('-'): return null;
                case var word: options.Words.Add(word); break;
            }
        }

        return options.Fits() && (!options.Host || options.Words is ["update", _]) ? options : null;
    }

    /// <summary>Every option is one of the verb's own; nothing is ignored in silence.</summary>
    private bool Fits() => Words switch
    {
        ["logs"] or ["logs", _] => !Json && !New && !NoWait,
        ["status"] or ["plan"] or ["why", _] => Plain && !New && !NoWait,
        ["push", _] => Plain && !Json && !New,
        ["update", _] => Plain && !Json && !New,
        ["key"] => Plain && !Json && !NoWait,
        ["poweroff" or "reboot"] => Plain && !Json && !New && !NoWait,
        ["apply" or "start" or "stop" or "restart" or "rollback", _] => Plain && !Json && !New && !NoWait,
        _ => false,
    };

    private bool Plain => !Follow && !Times && Since is null && Tail is null;
}
