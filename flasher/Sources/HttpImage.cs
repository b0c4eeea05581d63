using System.Net;
using System.Net.Http.Headers;
using OsBuild.Flasher.Writing;
using OsBuild.Images.Compression;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Sources;

/// <summary>An image behind an http or https address, decoded while it comes. A torn connection is taken up where it tore.</summary>
internal static class HttpImage
{
    public static bool IsAddress(string path) => path.StartsWith("http://", StringComparison.OrdinalIgnoreCase) || path.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    /// <exception cref="RefusedException">There is no image at the address.</exception>
    public static CopySource Open(string address, string? sha256, TimeSpan patience)
    {
        var client = new HttpClient(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(20), AutomaticDecompression = DecompressionMethods.None }) { Timeout = Timeout.InfiniteTimeSpan };
        try
        {
            long? length;
            var head = new byte[ImageKind.HeadSize];
            Codec codec;
            using (var first = new HttpStream(client, new Uri(address), patience))
            {
                var got = first.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
                codec = ImageKind.Require(address, new Uri(address).AbsolutePath, head.AsSpan(0, got));
                length = first.Total;
            }

            if (codec == Codec.Zip) throw new RefusedException($"{address} is a zip archive, whose table is at its end; download it and write the file.");
            long consumed = 0;
            return new CopySource
            {
                Name = address,
                Open = () =>
                {
                    Interlocked.Exchange(ref consumed, 0);
                    Stream packed = new ProgressStream(new HttpStream(client, new Uri(address), patience), got => Interlocked.Add(ref consumed, got));
                    if (sha256 is not null) packed = new DigestStream(packed, ImageFile.ParseDigest(sha256, "--sha256"), address);
                    return codec == Codec.None ? packed : new OwningStream(Codecs.OpenRead(packed, codec), packed);
                },
                Length = codec == Codec.None ? length : null,
                Fraction = () => length is > 0 ? Math.Min(1, (double)Interlocked.Read(ref consumed) / length.Value) : 0,
            };
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UriFormatException)
        {
            throw new RefusedException($"{address} cannot be fetched: {e.Message.TrimEnd('.')}. Nothing was written.");
        }
    }
}

/// <summary>The bytes behind an address, front to back. When the connection tears, the rest is asked for with Range and If-Range, so that
/// a file that changed in between is never patched together.</summary>
internal sealed class HttpStream : Stream
{
    private const int Attempts = 6;
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(30);
    private readonly TimeSpan _silence;
    private readonly HttpClient _client;
    private readonly Uri _address;
    private Stream? _body;
    private EntityTagHeaderValue? _tag;
    private DateTimeOffset? _changed;
    private long _position;
    private int _failures;

    public HttpStream(HttpClient client, Uri address, TimeSpan patience)
    {
        (_client, _address) = (client, address);
        _silence = patience < LongestSilence ? patience : LongestSilence;
        Connect();
    }

    /// <summary>Length of the whole, or null when the server does not tell.</summary>
    public long? Total { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return 0;
        while (true)
        {
            try
            {
                if (_body is null) Connect();
                var got = ReadSome(buffer);
                if (got == 0 && Total is { } total && _position < total) throw new IOException($"the connection ended after {_position} of {total} bytes");
                _position += got;
                if (got > 0) _failures = 0;
                return got;
            }
            catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException)
            {
                _body?.Dispose();
                _body = null;
                var cause = e is OperationCanceledException ? "the server does not answer" : e.Message.TrimEnd('.');
                if (++_failures >= Attempts) throw new IOException($"{_address} cannot be read on: {cause}.", e);
                Thread.Sleep(TimeSpan.FromMilliseconds(100 << _failures));
            }
        }
    }

    private int ReadSome(Span<byte> buffer)
    {
        using var quiet = new CancellationTokenSource(_silence);
        var piece = System.Buffers.ArrayPool<byte>.Shared.Rent(Math.Min(buffer.Length, 128 << 10));
        try
        {
            var got = _body!.ReadAsync(piece.AsMemory(0, Math.Min(piece.Length, buffer.Length)), quiet.Token).AsTask().GetAwaiter().GetResult();
            piece.AsSpan(0, got).CopyTo(buffer);
            return got;
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(piece);
        }
    }

    private void Connect()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, _address);
        if (_position > 0)
        {
            request.Headers.Range = new RangeHeaderValue(_position, null);
            if (_tag is { IsWeak: false }) request.Headers.IfRange = new RangeConditionHeaderValue(_tag);
            else if (_changed is { } changed) request.Headers.IfRange = new RangeConditionHeaderValue(changed);
        }

        using var quiet = new CancellationTokenSource(_silence);
        var answer = Ask(request, quiet.Token);
        if (!answer.IsSuccessStatusCode) throw new HttpRequestException($"the server answers {(int)answer.StatusCode} {answer.ReasonPhrase}");
        if (_position == 0)
        {
            Total = answer.Content.Headers.ContentLength;
            (_tag, _changed) = (answer.Headers.ETag, answer.Content.Headers.LastModified);
        }

        _body = answer.Content.ReadAsStream(quiet.Token);
        if (_position > 0 && answer.StatusCode != HttpStatusCode.PartialContent) SkipToPosition(answer);
    }

    private HttpResponseMessage Ask(HttpRequestMessage request, CancellationToken quiet)
    {
        try
        {
            return _client.Send(request, HttpCompletionOption.ResponseHeadersRead, quiet);
        }
        catch (OperationCanceledException)
        {
            throw new IOException("the server does not answer");
        }
    }

    /// <summary>A server that knows no ranges sends all again; one whose file has changed too, and that must not be mixed.</summary>
    private void SkipToPosition(HttpResponseMessage answer)
    {
        if (!Equals(answer.Headers.ETag, _tag) || answer.Content.Headers.LastModified != _changed || answer.Content.Headers.ContentLength != Total)
        {
            _failures = Attempts;
            throw new IOException("the file changed while it was fetched; start again");
        }

        var scratch = new byte[64 << 10];
        for (var left = _position; left > 0;)
        {
            var got = ReadSome(scratch.AsSpan(0, (int)Math.Min(scratch.Length, left)));
            if (got == 0) throw new IOException("the connection ended early");
            left -= got;
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) _body?.Dispose();
        base.Dispose(disposing);
    }
}
