using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace OsBuild.Supervisor.Fleet;

/// <summary>What <c>config.json</c> on the boot partition says: the file the balena CLI writes and downloads. It is only read; what the device
/// learns is kept on the state partition.</summary>
internal sealed record FleetConfig
{
    public const int DefaultPort = 48484;
    public static readonly TimeSpan DefaultPollInterval = TimeSpan.FromMinutes(15);

    /// <summary>A device that belongs to no fleet.</summary>
    public static readonly FleetConfig None = new();

    public Uri? ApiEndpoint { get; init; }
    public Uri? LogsEndpoint { get; init; }

    /// <summary>The provisioning key: registers the device, and gives a lost device key back.</summary>
    public string? ApiKey { get; init; }

    /// <summary>The key of a device that was registered beforehand.</summary>
    public string? DeviceApiKey { get; init; }
    public string? Uuid { get; init; }
    public long? ApplicationId { get; init; }
    public long? UserId { get; init; }
    public string DeviceType { get; init; } = "";
    public string? RegistryEndpoint { get; init; }

    /// <summary>The authority (PEM) to trust instead of the host's, for a fleet with its own.</summary>
    public string? RootCertificate { get; init; }
    public TimeSpan PollInterval { get; init; } = DefaultPollInterval;
    public int ListenPort { get; init; } = DefaultPort;

    /// <summary>Opens the device API without a key and the engine on TCP. Never on by itself.</summary>
    public bool DevelopmentMode { get; init; }
    public bool? LocalMode { get; init; }

    /// <summary>True when a fleet looks after this device.</summary>
    public bool Managed => ApiEndpoint is not null && (ApiKey is not null || DeviceApiKey is not null && Uuid is not null);

    public static FleetConfig Read(string path, Action<string> problem)
    {
        try
        {
            return File.Exists(path) ? Parse(File.ReadAllText(path), problem) : None;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem($"config.json cannot be read: {e.Message}");
            return None;
        }
    }

    /// <summary>Reads the keys it knows; numbers and flags may stand in quotes, as some tools write them. A key that cannot be used is left out.</summary>
    public static FleetConfig Parse(string json, Action<string> problem)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            if (document.RootElement.ValueKind == JsonValueKind.Object) return From(new Keys(document.RootElement, problem));
            problem("config.json is not an object; it is ignored");
        }
        catch (JsonException e)
        {
            problem($"config.json is not valid JSON (line {e.LineNumber + 1}); it is ignored");
        }

        return None;
    }

    private static FleetConfig From(Keys keys) => new()
    {
        ApiEndpoint = keys.Endpoint("apiEndpoint"),
        LogsEndpoint = keys.Endpoint("logsEndpoint"),
        ApiKey = keys.Text("apiKey"),
        DeviceApiKey = keys.Text("deviceApiKey"),
        Uuid = keys.Uuid("uuid"),
        ApplicationId = keys.Whole("applicationId", 1, long.MaxValue),
        UserId = keys.Whole("userId", 1, long.MaxValue),
        DeviceType = keys.Text("deviceType") ?? "",
        RegistryEndpoint = keys.Text("registryEndpoint"),
        RootCertificate = keys.Certificate("balenaRootCA"),
        PollInterval = keys.Whole("appUpdatePollInterval", 1, 86_400_000) is { } ms ? FleetSettings.Bounded(TimeSpan.FromMilliseconds(ms)) : DefaultPollInterval,
        ListenPort = (int)(keys.Whole("listenPort", 1, 65535) ?? DefaultPort),
        DevelopmentMode = keys.Flag("developmentMode") ?? false,
        LocalMode = keys.Flag("localMode"),
    };

    private sealed class Keys(JsonElement root, Action<string> problem)
    {
        public string? Text(string key) => root.TryGetProperty(key, out var value) ? value.ValueKind switch
        {
            JsonValueKind.String => value.GetString() is { Length: > 0 } text ? text : null,
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            JsonValueKind.Null => null,
            _ => Bad(key, "a single value"),
        } : null;

        public long? Whole(string key, long least, long most)
        {
            if (Text(key) is not { } text) return null;
            if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most) return number;
            Bad(key, most == long.MaxValue ? "a number" : $"a number from {least} to {most}");
            return null;
        }

        public bool? Flag(string key)
        {
            switch (Text(key))
            {
                case null: return null;
                case "true" or "1": return true;
                case "false" or "0": return false;
                default:
                    Bad(key, "true or false");
                    return null;
            }
        }

        public Uri? Endpoint(string key)
        {
            if (Text(key) is not { } text) return null;
            if (Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : "https://" + text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https") return uri;
            Bad(key, "an http or https address");
            return null;
        }

        public string? Uuid(string key)
        {
            if (Text(key) is not { } text) return null;
            if (text.Length is 32 or 62 && text.All(char.IsAsciiHexDigitLower)) return text;
            return Bad(key, "32 hexadecimal digits");
        }

        public string? Certificate(string key)
        {
            if (Text(key) is not { } text) return null;
            var bytes = new byte[text.Length];
            return Convert.TryFromBase64String(text, bytes, out var length) && System.Text.Encoding.UTF8.GetString(bytes, 0, length) is var pem && IsCertificate(pem) ? pem : Bad(key, "a PEM certificate in base64");
        }

        private static bool IsCertificate(string pem)
        {
            try
            {
                var certificates = new X509Certificate2Collection();
                certificates.ImportFromPem(pem);
                return certificates.Count > 0;
            }
            catch (CryptographicException)
            {
                return false;
            }
            catch (Exception e) when (e is TypeInitializationException or DllNotFoundException)
            {
                // Without libssl nobody can tell, and the first call says what is missing.
                return true;
            }
        }

        private string? Bad(string key, string wanted)
        {
            problem($"config.json: {key} must be {wanted}; it is ignored");
            return null;
        }
    }
}
