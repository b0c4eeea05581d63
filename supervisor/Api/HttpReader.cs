using System.Globalization;
using System.Text;

namespace OsBuild.Supervisor.Api;

/// <summary>The request cannot be served as it stands; the connection ends with this answer.</summary>
internal sealed class BadRequestException(int status, string message) : Exception(message)
{
    public int Status { get; } = status;
}

/// <summary>Reads requests off one connection: heads, and bodies by length or in chunks. Everything has a limit.</summary>
internal sealed class HttpReader(Stream stream, int maxBody)
{
    private const int MaxHead = 16 * 1024;
    private const int MaxHeaders = 100;

    private readonly byte[] buffer = new byte[MaxHead];
    private int start;
    private int end;

    /// <summary>The next head, its body not yet read; null when the other side is done.</summary>
    public async Task<HttpRequest?> HeadAsync(CancellationToken stop)
    {
        int length;
        while ((length = buffer.AsSpan(start, end - start).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (end - start == MaxHead) throw new BadRequestException(400, $"the head of the request has more than {MaxHead / 1024} KiB");
            if (!await FillAsync(stop)) return end == start ? null : throw new IOException("the request ended early");
        }

        var text = Encoding.Latin1.GetString(buffer, start, length);
        start += length + 4;
        return Parse(text);
    }

    /// <summary>The whole body of a request.</summary>
    public async Task<byte[]> BodyAsync(HttpRequest request, CancellationToken stop)
    {
        if (Length(request) is var length && length > maxBody) throw new BadRequestException(413, $"the body has more than {maxBody >> 20} MiB");
        if (length == 0) return [];
        var body = new MemoryStream((int)Math.Max(0, length));
        var part = new byte[8192];
        await using var input = Input(request);
        for (int count; (count = await input.ReadAsync(part, stop)) > 0;)
        {
            if (body.Length + count > maxBody) throw new BadRequestException(413, $"the body has more than {maxBody >> 20} MiB");
            body.Write(part, 0, count);
        }

        return body.ToArray();
    }

    /// <summary>The body as it comes.</summary>
    public Stream Input(HttpRequest request) => new BodyStream(this, Length(request));

    /// <summary>Bytes of the body; -1 when it comes in chunks.</summary>
    private static long Length(HttpRequest request)
    {
        if (request.Header("transfer-encoding") is { } coding)
            return coding.Equals("chunked", StringComparison.OrdinalIgnoreCase) && request.Header("content-length") is null ? -1 : throw new BadRequestException(400, "this transfer encoding is not known here");
        if (request.Header("content-length") is not { } text) return 0;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? length : throw new BadRequestException(400, "the content length is not a number");
    }

    private static HttpRequest Parse(string text)
    {
        var lines = text.Split("\r\n");
        var first = lines[0].Split(' ');
        if (first.Length != 3 || !first[1].StartsWith('/') || !first[2].StartsWith("HTTP/1.", StringComparison.Ordinal)) throw new BadRequestException(400, "this is not an HTTP/1 request");
        if (lines.Length > MaxHeaders) throw new BadRequestException(400, $"the request has more than {MaxHeaders} headers");
        var headers = new Dictionary<string, string>();
        foreach (var line in lines.AsSpan(1))
        {
            var colon = line.IndexOf(':');
            if (colon < 1) throw new BadRequestException(400, "a header has no name");
            var name = line[..colon].ToLowerInvariant();
            // Two lengths, or a folded name, are how one request is made to look like two.
            if (name.Any(char.IsWhiteSpace) || !headers.TryAdd(name, line[(colon + 1)..].Trim()) && name is "content-length" or "transfer-encoding") throw new BadRequestException(400, $"the header {name} cannot stand there");
        }

        var question = first[1].IndexOf('?');
        var query = new Dictionary<string, string>();
        foreach (var pair in question < 0 ? [] : first[1][(question + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=');
            query[Plain(equals < 0 ? pair : pair[..equals])] = equals < 0 ? "" : Plain(pair[(equals + 1)..]);
        }

        return new(first[0], Uri.UnescapeDataString(question < 0 ? first[1] : first[1][..question]), query, headers, []);
    }

    private static string Plain(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));

    private async Task<bool> FillAsync(CancellationToken stop)
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }

        var count = await stream.ReadAsync(buffer.AsMemory(end), stop);
        end += count;
        return count > 0;
    }

    private async ValueTask<int> TakeAsync(Memory<byte> to, CancellationToken stop)
    {
        if (start == end && !await FillAsync(stop)) throw new IOException("the request ended early");
        var count = Math.Min(to.Length, end - start);
        buffer.AsMemory(start, count).CopyTo(to);
        start += count;
        return count;
    }

    /// <summary>A line of a chunked body, at most 256 bytes.</summary>
    private async Task<string> LineAsync(CancellationToken stop)
    {
        int length;
        while ((length = buffer.AsSpan(start, end - start).IndexOf((byte)'\n')) < 0)
            if (end - start > 256 || !await FillAsync(stop)) throw new IOException("a chunk has no size");
        var line = Encoding.ASCII.GetString(buffer, start, length).TrimEnd('\r');
        start += length + 1;
        return line;
    }

    /// <summary>A body of known length, or in chunks when the length is negative.</summary>
    private sealed class BodyStream(HttpReader reader, long left) : Stream
    {
        private readonly bool chunked = left < 0;
        private long left = Math.Max(0, left);
        private bool ended;
        private bool begun;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> to, CancellationToken cancellationToken = default)
        {
            if (left == 0 && chunked && !ended) await NextChunkAsync(cancellationToken);
            if (left == 0 || to.Length == 0) return 0;
            var count = await reader.TakeAsync(to.Length > left ? to[..(int)left] : to, cancellationToken);
            left -= count;
            return count;
        }

        private async Task NextChunkAsync(CancellationToken stop)
        {
            if (begun && (await reader.LineAsync(stop)).Length > 0) throw new IOException("a chunk is longer than it says");
            begun = true;
            var size = (await reader.LineAsync(stop)).Split(';')[0].Trim();
            if (size.Length > 15 || !long.TryParse(size, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out left)) throw new IOException("a chunk has no size");
            if (left > 0) return;
            ended = true;
            while ((await reader.LineAsync(stop)).Length > 0)
            {
                // Trailers say nothing that is needed here.
            }
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
        public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
