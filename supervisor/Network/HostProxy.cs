using System.Net;
using OsBuild.Images.Configuration;

namespace OsBuild.Supervisor.Network;

/// <summary>The proxy that a network wants its devices to use: for what the engine downloads and for the fleet. Names in the containers' own environment
/// are the app's business.</summary>
/// <param name="Server">http, https or socks5, with name and password where it asks for them.</param>
/// <param name="Except">Hosts asked without it: a name, a domain that begins with a dot, an address, or a network such as 10.0.0.0/8.</param>
internal sealed record HostProxy(Uri Server, IReadOnlyList<string> Except) : IWebProxy
{
    /// <summary>The device itself, whatever the proxy's owner thinks.</summary>
    private static readonly string[] Own = ["localhost", "127.0.0.0/8", "::1"];

    public ICredentials? Credentials
    {
        get => Server.UserInfo.Split(':', 2) is [{ Length: > 0 } user, var password] ? new NetworkCredential(Uri.UnescapeDataString(user), Uri.UnescapeDataString(password)) : null;
        set => throw new NotSupportedException("the proxy's password is in config.yaml");
    }

    /// <summary>The proxy in this text, or null when it is none.</summary>
    public static HostProxy? Parse(string text, IReadOnlyList<string> except) => ProxyServer.Parse(text) is { } server ? new(server, except) : null;

    /// <summary>The variables by which programs are told of it.</summary>
    public IReadOnlyDictionary<string, string> Environment
    {
        get
        {
            var server = Server.AbsoluteUri.TrimEnd('/');
            return new Dictionary<string, string> { ["HTTP_PROXY"] = server, ["HTTPS_PROXY"] = server, ["NO_PROXY"] = string.Join(',', Own.Concat(Except)) };
        }
    }

    public Uri? GetProxy(Uri destination) => IsBypassed(destination) ? null : Server;

    public bool IsBypassed(Uri host) => Own.Concat(Except).Any(e => Matches(e, host.IdnHost));

    /// <summary>As Go's httpproxy reads NO_PROXY: a name stands for itself and all below it, a leading dot only for what is below.</summary>
    private static bool Matches(string except, string host)
    {
        if (IPAddress.TryParse(host.Trim('[', ']'), out var address))
            return except.Contains('/') ? IPNetwork.TryParse(except, out var network) && network.Contains(address) : IPAddress.TryParse(except, out var same) && same.Equals(address);
        return except == "*" || host.Equals(except, StringComparison.OrdinalIgnoreCase) || host.EndsWith("." + except.TrimStart('.'), StringComparison.OrdinalIgnoreCase);
    }
}
