using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using OsBuild.Flasher.Choosing;
using OsBuild.Flasher.Commands;
using OsBuild.Flasher.Sources;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Web;

/// <summary>What the page's server answers: the page itself, what it asks, and events.</summary>
internal sealed class Site(Gate gate, DriveWatch drives, CancellationToken stop) : IDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(200);
    private const int BeatsPerSignOfLife = 25;
    private readonly Lock _lock = new();
    private FlashJob? _job;

    public Answer Handle(Request request)
    {
        if (gate.Stop(request) is { } refused) return refused;
        try
        {
            return Route(request) with { Headers = Gate.PageHeaders };
        }
        catch (JsonException)
        {
            return Answer.Text(400, "That is no request this page would make.") with { Headers = Gate.PageHeaders };
        }
        catch (Exception e) when (Ending.Of(e) is not null)
        {
            return Json(new ErrorShape(Ending.Of(e)!.Message), WebJson.Default.ErrorShape) with { Status = 422, Headers = Gate.PageHeaders };
        }
    }

    private Answer Route(Request request) => (request.Method, request.Path) switch
    {
        ("GET", "/") => File("index.html", "text/html; charset=utf-8"),
        ("GET", "/app.js") => File("app.js", "text/javascript; charset=utf-8"),
        ("GET", "/style.css") => File("style.css", "text/css; charset=utf-8"),
        ("GET", "/events") => new Answer(200, "text/event-stream", default) { Events = Events },
        ("GET", "/files") => Json(Folders.List(request.Query.GetValueOrDefault("path", ""), request.Query.ContainsKey("all")), WebJson.Default.FolderShape),
        ("POST", "/find") => Find(Body(request, WebJson.Default.FindQuestion)),
        ("POST", "/image") => Look(Body(request, WebJson.Default.ImageQuestion).Path),
        ("POST", "/write") => Write(Body(request, WebJson.Default.WriteQuestion)),
        ("POST", "/cancel") => Cancel(Body(request, WebJson.Default.CancelQuestion).Target),
        _ => Answer.Text(404, "There is no such page."),
    };

    private static T Body<T>(Request request, JsonTypeInfo<T> type) => JsonSerializer.Deserialize(request.Body.Span, type) ?? throw new JsonException();

    private static Answer Json<T>(T shape, JsonTypeInfo<T> type) => new(200, "application/json", JsonSerializer.SerializeToUtf8Bytes(shape, type));

    private static Answer File(string name, string type)
    {
        using var resource = typeof(Site).Assembly.GetManifestResourceStream(name)!;
        var bytes = new byte[resource.Length];
        resource.ReadExactly(bytes);
        return new Answer(200, type, bytes);
    }

    private Answer Find(FindQuestion asked) => Look(Folders.Find(asked.Name, asked.Size));

    private Answer Look(string path)
    {
        var image = ImageLook.At(path.Trim());
        drives.Image = image.Path;
        return Json(new ImageShape(image.Path, image.Name, image.Length, image.About), WebJson.Default.ImageShape);
    }

    private Answer Write(WriteQuestion asked)
    {
        var configuration = BootSettings.FromTexts(asked.Settings, asked.ConfigJson, asked.Compose);
        lock (_lock)
        {
            if (_job is { Ended: false }) throw new RefusedException("A write is under way; wait until it ends, or stop it.");
            var chosen = asked.Drives.Select(Chosen).ToList();
            if (chosen.Count == 0) throw new RefusedException("Choose a drive first.");
            _job?.Dispose();
            _job = new FlashJob(asked, configuration, chosen, stop);
        }

        return Answer.Text(202, "started");
    }

    /// <summary>The drive that the page has shown; what the list says now is looked at again before the first byte.</summary>
    private Choice Chosen(string id)
    {
        var choice = drives.Drives.FirstOrDefault(c => DriveShape.IdOf(c) == id) ?? throw new RefusedException("A chosen drive is gone or was swapped; choose again. Nothing was written.");
        return choice.Refusal is null ? choice : throw new RefusedException($"{choice.Disk.Device} is refused: {choice.Refusal}. Nothing was written.");
    }

    /// <summary>Waits for a write under way, which ends in a state that it can tell.</summary>
    public void Dispose()
    {
        _job?.Wait();
        _job?.Dispose();
    }

    private Answer Cancel(int? target)
    {
        _job?.Cancel(target);
        return Answer.Text(202, "stopping");
    }

    /// <summary>Sends the drives and the write whenever they change.</summary>
    private async Task Events(Stream to, CancellationToken gone)
    {
        drives.Watch();
        try
        {
            string? shownDrives = null, shownJob = null;
            for (var beat = 0; !gone.IsCancellationRequested; beat++)
            {
                var text = new StringBuilder();
                if (drives.Json is var now && now != shownDrives) text.Append($"event: drives\ndata: {shownDrives = now}\n\n");
                if ((_job?.Json ?? "null") is var job && job != shownJob) text.Append($"event: job\ndata: {shownJob = job}\n\n");
                if (text.Length == 0 && beat % BeatsPerSignOfLife == 0) text.Append(": here\n\n");
                if (text.Length > 0) await to.WriteAsync(Encoding.UTF8.GetBytes(text.ToString()), gone);
                await Task.Delay(Beat, gone);
            }
        }
        finally
        {
            drives.Leave();
        }
    }
}
