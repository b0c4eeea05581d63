using System.Net;
using System.Text;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The page in a real browser, served by a device with a real engine.</summary>
[Collection("engine 4")]
public sealed class PageTests(EngineFixture fixture)
{
    private static string Compose(int port) => $$"""
        services:
          web:
            image: page-test:1
            ports: ["{{port}}:8080"]
            restart: always
            stop_grace_period: 1s
            healthcheck:
              test: wget -q -O /dev/null http://127.0.0.1:8080/
              interval: 1s
          clock:
            image: page-test:1
            command: sh -c 'while true; do echo "tick $$(date +%s)"; sleep 1; done'
            restart: always
            stop_grace_period: 1s
        """;

    private async Task<Device> RunningAsync()
    {
        var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("page-test:1"));
        device.Compose(Compose(Device.FreePort()));
        device.Start();
        await device.UntilRunningAsync("web", "clock");
        return device;
    }

    /// <summary>Where to keep pictures for a person to look at; nothing is kept without it.</summary>
    private static void Keep(Chromium browser, string name)
    {
        if (Environment.GetEnvironmentVariable("OSBUILD_SCREENSHOTS") is { } folder) File.WriteAllBytes(Path.Combine(folder, name + ".png"), browser.Screenshot());
    }

    [Fact]
    public async Task Shows_the_device_live_and_steers_it()
    {
        Judge.Require("chromium");
        await using var device = await RunningAsync();
        var address = $"http://{device.Address}/";
        var key = (await device.AskAsync("key")).Trim();

        using var browser = new Chromium();
        browser.Open(address);
        browser.Wait("!document.getElementById('login').hidden");
        Keep(browser, "login");
        browser.Type("#key", "00000-00000-00000-00000");
        browser.Click("#login-form button");
        browser.Wait("document.getElementById('login-error').textContent.includes('not the key')");
        Assert.True(browser.Eval("document.getElementById('device').hidden")!.GetValue<bool>());

        browser.Type("#key", key.Replace("-", "", StringComparison.Ordinal).ToLowerInvariant());
        browser.Click("#login-form button");
        browser.Wait("document.querySelectorAll('.service').length === 2");
        Assert.Contains("web", browser.Text(".service[data-name=web]"), StringComparison.Ordinal);
        browser.Wait("document.querySelector('.service[data-name=web] .chip').textContent === 'healthy'");
        browser.Wait("document.querySelector('#link').textContent === 'live'");

        // Log lines come by themselves, and only those of the service that was asked for.
        browser.Click(".service[data-name=clock] button", "Logs");
        browser.Wait("document.querySelectorAll('#log > div').length > 0 && [...document.querySelectorAll('#log > div')].every(e => e.textContent.includes('tick'))");
        var lines = browser.Eval("document.querySelectorAll('#log > div').length")!.GetValue<int>();
        browser.Wait($"document.querySelectorAll('#log > div').length > {lines + 1}");
        browser.Type("#log-filter", "no such words");
        browser.Wait("[...document.querySelectorAll('#log > div')].every(e => e.hidden)");
        browser.Type("#log-filter", "");

        // Figures come, with their curves.
        browser.Wait("document.querySelectorAll('.tile').length >= 4 && document.querySelectorAll('.service .meter path.line').length >= 6");
        browser.Eval("scrollTo(0, 0)");
        Keep(browser, "light");

        // A button does what it says, and the page tells of it with its cause.
        var before = (await device.ContainersAsync()).Single(c => c.Names[0].Contains("-clock", StringComparison.Ordinal));
        var started = (await device.Engine.InspectAsync(before.ID, CancellationToken.None))!.State!.StartedAt;
        browser.Click(".service[data-name=clock] button", "Restart");
        browser.Wait("[...document.querySelectorAll('#timeline li')].some(e => e.textContent.includes('restart') && e.textContent.includes('asked for from 127.0.0.1'))");
        await device.UntilAsync("restarted", s => device.Engine.InspectAsync(before.ID, CancellationToken.None).GetAwaiter().GetResult()?.State is { Running: true } state && state.StartedAt != started);
        browser.Click(".service[data-name=clock] button", "Why?");
        browser.Wait("document.querySelector('.service[data-name=clock] .why')?.textContent.includes('restart')");

        browser.Click(".service[data-name=web] button", "Stop");
        browser.Wait("document.querySelector('.service[data-name=web] .chip').textContent === 'stopped by hand'");
        browser.Click(".service[data-name=web] button", "Start");
        browser.Wait("document.querySelector('.service[data-name=web] .chip').textContent === 'healthy'");

        // A wrong compose file is refused with the line; the mistake changes nothing.
        browser.Click("#open-apply");
        browser.Type("#compose", "services:\n  web:\n    imagee: x\n");
        browser.Click("#apply button", "Apply");
        browser.Wait("document.getElementById('remarks').textContent.includes('compose.yaml:3')");
        browser.Click("#close-apply");

        browser.Scheme("dark");
        browser.Eval("scrollTo(0, 0)");
        Keep(browser, "dark");
        Assert.Empty(browser.Errors);
        browser.Click("#logout");
        browser.Wait("document.getElementById('device').hidden");
        browser.Open(address);
        browser.Wait("!document.getElementById('login').hidden");
    }

    [Fact]
    public async Task Fits_a_phone()
    {
        Judge.Require("chromium");
        await using var device = await RunningAsync();
        using var browser = new Chromium(390, 844);
        browser.Open($"http://{device.Address}/");
        browser.Wait("!document.getElementById('login').hidden");
        browser.Type("#key", (await device.AskAsync("key")).Trim());
        browser.Click("#login-form button");
        browser.Wait("document.querySelectorAll('.service .meter path.line').length >= 6");
        // Nothing sticks out to the side.
        Assert.Equal(390, browser.Eval("document.documentElement.scrollWidth")!.GetValue<int>());
        Keep(browser, "phone");
        browser.Click(".service[data-name=clock] button", "Logs");
        browser.Wait("document.querySelectorAll('#log > div').length > 3");
        Keep(browser, "phone-logs");
    }

    [Fact]
    public async Task Nothing_is_told_and_nothing_is_done_without_the_key()
    {
        await using var device = await RunningAsync();
        using var http = new HttpClient { BaseAddress = new Uri($"http://{device.Address}/") };
        foreach (var path in (string[])["v1/status", "v1/why/web", "v1/plan", "v1/history", "v1/events", "v1/logs", "v1/metrics", "metrics", "v1/compose", "v1/key"]) Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync(path)).StatusCode);
        foreach (var path in (string[])["v1/compose", "v1/services/web/stop", "v1/rollback/x", "v1/build/a/b", "v1/key", "v1/login"]) Assert.Equal(HttpStatusCode.Unauthorized, (await http.PostAsync(path, new ByteArrayContent(Encoding.UTF8.GetBytes("x")))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("")).StatusCode);

        // The key is not to be had over the network even with the key.
        http.DefaultRequestHeaders.Authorization = new("Bearer", (await device.AskAsync("key")).Trim());
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("v1/status")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("v1/key")).StatusCode);
    }
}
