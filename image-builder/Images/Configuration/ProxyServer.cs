namespace OsBuild.Images.Configuration;

/// <summary>The address of a proxy as config.yaml has it: what writes the file and what reads it on the device ask here.</summary>
public static class ProxyServer
{
    /// <summary>The address, or null when it is none: http, https or socks5, a host, perhaps a port and USER:PASSWORD@, no path.</summary>
    /// <param name="text">As typed.</param>
    public static Uri? Parse(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var server) && server.Scheme is "http" or "https" or "socks5" && server.Host.Length > 0 && server.AbsolutePath.Trim('/').Length == 0 ? server : null;
}
