using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace OsBuild.Tests.Supervisor.Fleet;

internal sealed record MiniRequest(string Method, string Path, string Query, IReadOnlyDictionary<string, string> Headers, Stream Body)
{
    public string? Header(string name) => Headers.GetValueOrDefault(name.ToLowerInvariant());

    public string? Parameter(string name) => Query.TrimStart('?').Split('&').Select(p => p.Split('=', 2)).Where(p => p[0] == name && p.Length == 2).Select(p => Uri.UnescapeDataString(p[1])).FirstOrDefault();
}

internal sealed record MiniAnswer(int Status, string Body, params (string Name, string Value)[] Headers);

/// <summary>An HTTP server on loopback that hands a body on as it arrives, which the framework's own listener does not.</summary>
internal sealed class MiniHttp : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stop = new();
    private readonly Func<MiniRequest, Task<MiniAnswer>> handle;
    private readonly X509Certificate2? certificate;
    private readonly Task accepting;

    /// <param name="handle">Answers a request.</param>
    /// <param name="certificate">With it the server speaks TLS only.</param>
    public MiniHttp(Func<MiniRequest, Task<MiniAnswer>> handle, X509Certificate2? certificate = null)
    {
        (this.handle, this.certificate) = (handle, certificate);
        listener.Start();
        accepting = Task.Run(AcceptAsync);
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await accepting;
        stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                var client = await listener.AcceptTcpClientAsync(stop.Token);
                _ = ServeAsync(client, stop.Token);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(TcpClient client, CancellationToken token)
    {
        using var owned = client;
        using var closing = token.Register(client.Close);
        try
        {
            client.NoDelay = true;
            await using var wire = certificate is null ? client.GetStream() : await SecuredAsync(client.GetStream(), token);
            var stream = new BufferedStream(wire);
            while (await LineAsync(stream) is { Length: > 0 } first)
            {
                var headers = new Dictionary<string, string>();
                while (await LineAsync(stream) is { Length: > 0 } line) headers[line.Split(':', 2)[0].ToLowerInvariant()] = line.Split(':', 2)[1].Trim();
                var target = first.Split(' ')[1];
                var question = target.IndexOf('?');
                using var body = new Body(stream, wire, headers);
                var answer = await handle(new(first.Split(' ')[0], Uri.UnescapeDataString(question < 0 ? target : target[..question]), question < 0 ? "" : target[question..], headers, body));
                var bytes = Encoding.UTF8.GetBytes(answer.Body);
                var head = new StringBuilder($"HTTP/1.1 {answer.Status} Status\r\n");
                foreach (var (name, value) in answer.Headers) head.Append($"{name}: {value}\r\n");
                if (answer.Status is not (304 or 204)) head.Append($"Content-Length: {bytes.Length}\r\n");
                await wire.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()), token);
                await wire.WriteAsync(bytes, token);
                // A body nobody wanted cannot be told from the next request.
                if (!body.Ended) return;
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException or AuthenticationException)
        {
        }
    }

    private async Task<Stream> SecuredAsync(Stream plain, CancellationToken token)
    {
        var secured = new SslStream(plain);
        await secured.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = certificate }, token);
        return secured;
    }

    private static async Task<string?> LineAsync(Stream stream)
    {
        var line = new List<byte>();
        var one = new byte[1];
        while (await stream.ReadAsync(one) == 1)
        {
            if (one[0] == '\n') return Encoding.Latin1.GetString([.. line]).TrimEnd('\r');
            line.Add(one[0]);
        }

        return null;
    }

    /// <summary>A request's body, of a known length or in chunks; each read gives what is there.</summary>
    private sealed class Body(Stream from, Stream to, Dictionary<string, string> headers) : Stream
    {
        private readonly bool chunked = headers.GetValueOrDefault("transfer-encoding") == "chunked";
        private long left = headers.GetValueOrDefault("transfer-encoding") == "chunked" ? 0 : long.Parse(headers.GetValueOrDefault("content-length", "0"), CultureInfo.InvariantCulture);
        private bool asked = headers.GetValueOrDefault("expect") is null;
        private bool ended;

        public bool Ended => chunked ? ended : left == 0;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!asked) await to.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), cancellationToken);
            asked = true;
            if (Ended) return 0;
            if (chunked && left == 0)
            {
                left = long.Parse(await LineAsync(from) ?? "0", NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                if (left == 0)
                {
                    await LineAsync(from);
                    ended = true;
                    return 0;
                }
            }

            var count = await from.ReadAsync(buffer[..(int)Math.Min(buffer.Length, left)], cancellationToken);
            if (count == 0) throw new IOException("the body ended early");
            left -= count;
            if (chunked && left == 0) await LineAsync(from);
            return count;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
        public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
