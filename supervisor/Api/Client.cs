using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace OsBuild.Supervisor.Api;

/// <summary>The supervisor said no.</summary>
internal sealed class RefusedException(int status, string message) : Exception(message)
{
    public int Status { get; } = status;
}

/// <summary>Asks a supervisor: the one on this device through its socket, or one over the network with its key.</summary>
internal sealed class Client : IDisposable
{
    public const int DefaultPort = 8008;
    private readonly HttpClient http;

    private Client(HttpClient http, string where) => (this.http, Where) = (http, where);

    /// <summary>What is asked, for messages.</summary>
    public string Where { get; }

    public static Client Local(string socket) => new(new HttpClient(new SocketsHttpHandler
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
    { BaseAddress = new Uri("http://supervisor/"), Timeout = Timeout.InfiniteTimeSpan }, socket);

    /// <param name="address">HOST, HOST:PORT or http://HOST:PORT.</param>
    /// <param name="key">The device's key.</param>
    public static Client Remote(string address, string key)
    {
        var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null, ConnectTimeout = TimeSpan.FromSeconds(10) }) { BaseAddress = Address(address), Timeout = Timeout.InfiniteTimeSpan };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key.Trim());
        return new(http, http.BaseAddress.Authority);
    }

    /// <exception cref="FormatException">The text is no address.</exception>
    public static Uri Address(string text)
    {
        var full = text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text;
        if (!Uri.TryCreate(full, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Host.Length == 0) throw new FormatException($"'{text}' is no address; write HOST or HOST:PORT");
        return text.Contains("://", StringComparison.Ordinal) || !uri.IsDefaultPort || text.EndsWith(":80", StringComparison.Ordinal) ? uri : new UriBuilder(uri) { Port = DefaultPort }.Uri;
    }

    public async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken stop = default)
    {
        using var answer = await SendAsync(new(HttpMethod.Get, path), stop);
        return JsonSerializer.Deserialize(await answer.Content.ReadAsStringAsync(stop), type)!;
    }

    /// <summary>An answer that comes as long as there is something to say.</summary>
    public async Task<Stream> StreamAsync(HttpRequestMessage request, CancellationToken stop = default) => await (await SendAsync(request, stop)).Content.ReadAsStreamAsync(stop);

    public async Task PostAsync(string path, CancellationToken stop = default)
    {
        using var answer = await SendAsync(new(HttpMethod.Post, path), stop);
    }

    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken stop = default)
    {
        var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        if (answer.IsSuccessStatusCode) return answer;
        var text = await answer.Content.ReadAsStringAsync(stop);
        var status = (int)answer.StatusCode;
        answer.Dispose();
        throw new RefusedException(status, text.Trim());
    }

    public static ByteArrayContent Json<T>(T value, JsonTypeInfo<T> type) => new(JsonSerializer.SerializeToUtf8Bytes(value, type)) { Headers = { ContentType = new("application/json") } };

    public void Dispose() => http.Dispose();
}

/// <summary>Keys that were good once, so that the second command needs none. One file in the user's own configuration, readable by him alone.</summary>
internal sealed class KnownKeys(string file)
{
    public static KnownKeys OfUser() => new(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData), "osbuild", "keys"));

    public string? Find(string address) => Lines().Where(l => l.Address == address).Select(l => l.Key).FirstOrDefault();

    public void Remember(string address, string key)
    {
        if (Find(address) == key) return;
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        var text = string.Concat(Lines().Where(l => l.Address != address).Append((address, key)).Select(l => $"{l.Item1} {l.Item2}\n"));
        using (var stream = new FileStream(file + ".new", new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite })) stream.Write(Encoding.UTF8.GetBytes(text));
        File.Move(file + ".new", file, overwrite: true);
    }

    private List<(string Address, string Key)> Lines() => !File.Exists(file) ? [] : [.. File.ReadLines(file).Select(l => l.Split(' ')).Where(w => w.Length == 2).Select(w => (w[0], w[1]))];
}
