using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OsBuild.OracleTests;

/// <summary>A headless Chromium with one page, driven through the DevTools protocol as a person would: clicks go through the mouse, text
/// through the keyboard.</summary>
internal sealed class Chromium : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Process _process;
    private readonly string _profile = Directory.CreateTempSubdirectory("osbuild-chromium").FullName;
    private readonly ClientWebSocket _socket = new();
    private readonly string _session;
    private int _id;

    public Chromium(int width = 1280, int height = 860)
    {
        Judge.Require("chromium");
        _process = Process.Start(new ProcessStartInfo("chromium", ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--remote-debugging-port=0", $"--user-data-dir={_profile}", $"--window-size={width},{height}", "about:blank"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        string? address = null;
        while (address is null && _process.StandardError.ReadLine() is { } line)
            if (line.StartsWith("DevTools listening on ", StringComparison.Ordinal)) address = line["DevTools listening on ".Length..].Trim();
        Assert.True(address is not null, "chromium did not start");
        // What nobody reads would fill the pipes and stop the browser.
        _ = _process.StandardError.ReadToEndAsync();
        _ = _process.StandardOutput.ReadToEndAsync();
        _socket.ConnectAsync(new Uri(address), CancellationToken.None).Wait(Patience);
        var target = Send("Target.createTarget", new() { ["url"] = "about:blank" }, null)["targetId"]!.GetValue<string>();
        _session = Send("Target.attachToTarget", new() { ["targetId"] = target, ["flatten"] = true }, null)["sessionId"]!.GetValue<string>();
        Send("Page.enable", []);
        Send("Runtime.enable", []);
        Send("Log.enable", []);
        Send("Emulation.setDeviceMetricsOverride", new() { ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = false });
    }

    /// <summary>Scripts that failed, and what the page's policy forbade.</summary>
    public List<string> Errors { get; } = [];

    public void Open(string address)
    {
        Send("Page.navigate", new() { ["url"] = address });
        Wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// <summary>Evaluates an expression; gives its value as JSON.</summary>
    public JsonNode? Eval(string expression)
    {
        var answer = Send("Runtime.evaluate", new() { ["expression"] = expression, ["returnByValue"] = true, ["awaitPromise"] = true });
        Assert.True(answer["exceptionDetails"] is null, $"{expression}: {answer["exceptionDetails"]?.ToJsonString()}");
        return answer["result"]!["value"];
    }

    /// <summary>Waits until an expression is true.</summary>
    public void Wait(string condition)
    {
        var limit = Stopwatch.StartNew();
        while (Eval($"!!({condition})")!.GetValue<bool>() is false)
        {
            if (limit.Elapsed > Patience) Fail(condition);
            Thread.Sleep(50);
        }
    }

    private void Fail(string condition)
    {
        var picture = Path.Combine(Path.GetTempPath(), $"osbuild-chromium-{_process.Id}.png");
        File.WriteAllBytes(picture, Screenshot());
        Assert.Fail($"this never came true: {condition}\nthe page ({picture}) says:\n{Text("body")}\n{Eval("JSON.stringify(performance.getEntriesByType('resource').map(r => [r.name, r.responseStatus, r.duration]))")}\n{string.Join('\n', Errors)}");
    }

    /// <summary>The visible text of an element.</summary>
    public string Text(string selector) => Eval($"document.querySelector({Quoted(selector)})?.innerText ?? ''")!.GetValue<string>();

    /// <summary>Clicks in the middle of the first element that fits and has these words in it.</summary>
    public void Click(string selector, string words = "")
    {
        var find = $"[...document.querySelectorAll({Quoted(selector)})].find(e => e.textContent.includes({Quoted(words)}))";
        Wait($"{find} && {find}.getClientRects().length > 0");
        // Pages that live move their elements: the click must find the one that was meant under the pointer.
        var aim = $"(e => {{ if (!e) return null; e.scrollIntoView({{block: 'center', behavior: 'instant'}}); const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2; return e.contains(document.elementFromPoint(x, y)) ? [x, y] : null; }})({find})";
        // Right after a part of the page has opened, the browser drops a click without a word, as it may a person's: then it is made again.
        for (var attempt = 0; attempt < 5; attempt++)
        {
            Wait($"{aim} !== null");
            var place = Eval($"(e => {{ window.clicked = false; e.addEventListener('click', () => window.clicked = true, {{ once: true, capture: true }}); return {aim}; }})({find})")!;
            foreach (var type in (string[])["mousePressed", "mouseReleased"])
                Send("Input.dispatchMouseEvent", new() { ["type"] = type, ["x"] = place[0]!.GetValue<double>(), ["y"] = place[1]!.GetValue<double>(), ["button"] = "left", ["clickCount"] = 1 });
            for (var look = 0; look < 20; look++)
            {
                if (Eval("window.clicked !== false")!.GetValue<bool>()) return;
                Thread.Sleep(50);
            }
        }

        Fail($"a click on {selector} {words}");
    }

    /// <summary>Types into a field, after what it held is gone.</summary>
    public void Type(string selector, string text)
    {
        Eval($"(e => {{ e.focus(); e.select(); }})(document.querySelector({Quoted(selector)}))");
        Send("Input.insertText", new() { ["text"] = text });
    }

    /// <summary>Light or dark, as the person's system would ask for.</summary>
    public void Scheme(string scheme) =>
        Send("Emulation.setEmulatedMedia", new() { ["features"] = new JsonArray(new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = scheme }) });

    public byte[] Screenshot() => Convert.FromBase64String(Send("Page.captureScreenshot", new() { ["format"] = "png" })["data"]!.GetValue<string>());

    private static string Quoted(string text) => JsonSerializer.Serialize(text);

    private JsonNode Send(string method, JsonObject parameters) => Send(method, parameters, _session);

    private JsonNode Send(string method, JsonObject parameters, string? session)
    {
        var id = ++_id;
        var message = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters };
        if (session is not null) message["sessionId"] = session;
        using var limit = new CancellationTokenSource(Patience);
        _socket.SendAsync(Encoding.UTF8.GetBytes(message.ToJsonString()), WebSocketMessageType.Text, true, limit.Token).GetAwaiter().GetResult();
        while (true)
        {
            var answer = Receive(limit.Token);
            if (IsError(answer)) Errors.Add(answer["params"]!.ToJsonString());
            if (answer["id"]?.GetValue<int>() != id) continue;
            Assert.True(answer["error"] is null, $"{method}: {answer["error"]?.ToJsonString()}");
            return answer["result"]!;
        }
    }

    /// <summary>A script that failed, or something that the page's own policy forbids. A server that has gone is no error of the page.</summary>
    private static bool IsError(JsonNode message) => message["method"]?.GetValue<string>() switch
    {
        "Runtime.exceptionThrown" => true,
        "Log.entryAdded" => message["params"]!["entry"]!["source"]!.GetValue<string>() is "security" or "javascript",
        _ => false,
    };

    private JsonNode Receive(CancellationToken limit)
    {
        using var whole = new MemoryStream();
        var buffer = new byte[64 << 10];
        while (true)
        {
            var got = _socket.ReceiveAsync(buffer, limit).GetAwaiter().GetResult();
            whole.Write(buffer, 0, got.Count);
            if (got.EndOfMessage) return JsonNode.Parse(whole.ToArray())!;
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
        try
        {
            Directory.Delete(_profile, recursive: true);
        }
        catch (IOException)
        {
            // A process of the browser that is still ending.
        }
    }
}
