using System.Diagnostics;
using System.Net;

namespace OsBuild.OracleTests.Flasher;

/// <summary>The page, driven by a real browser from choosing to done and through each error. With OSBUILD_SCREENSHOTS=FOLDER every station
/// leaves a picture.</summary>
public sealed class UiTests : IClassFixture<UiTests.Browser>, IDisposable
{
    private const int MiB = 1 << 20;

    public sealed class Browser : IDisposable
    {
        private readonly Lazy<Chromium> _page = new(() => new Chromium());

        internal Chromium Page => _page.Value;

        public void Dispose()
        {
            if (_page.IsValueCreated) _page.Value.Dispose();
        }
    }

    private readonly Chromium _page;
    private readonly Process _program;
    private readonly string _address;
    private readonly string _folder = Directory.CreateDirectory(Path.Combine(Folder.Path, Guid.NewGuid().ToString("N"))).FullName;

    public UiTests(Browser browser)
    {
        Judge.Require("chromium");
        Assert.SkipUnless(Judge.IsRoot, "loop devices need root");
        _page = browser.Page;
        _page.Errors.Clear();
        _program = Process.Start(new ProcessStartInfo(Cli.Program, ["ui", "--no-browser"]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _folder })!;
        _address = _program.StandardOutput.ReadLine()!;
    }

    private string Root => _address[..(_address.IndexOf('?') - 1)];

    private string File_(string name, ReadOnlySpan<byte> content)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    private void Picture(string name)
    {
        if (Environment.GetEnvironmentVariable("OSBUILD_SCREENSHOTS") is not { } folder) return;
        Directory.CreateDirectory(folder);
        foreach (var scheme in (string[])["light", "dark"])
        {
            _page.Scheme(scheme);
            File.WriteAllBytes(Path.Combine(folder, $"{name}-{scheme}.png"), _page.Screenshot());
        }

        _page.Scheme("light");
    }

    private void Type(string path)
    {
        _page.Type("#path", path);
        _page.Click("#use");
    }

    private void Choose(params LoopDevice[] devices)
    {
        foreach (var device in devices)
        {
            _page.Wait($"[...document.querySelectorAll('#drives .drive')].some(d => d.textContent.includes('{device.Path} '))");
            _page.Click("#drives .drive", device.Path + " ");
        }
    }

    private string Result(string words)
    {
        _page.Wait("!document.getElementById('progress').hidden && !document.getElementById('again').hidden");
        var text = _page.Text("#progress");
        Assert.Contains(words, text, StringComparison.Ordinal);
        return text;
    }

    [Fact]
    public void Three_clicks_write_an_image_onto_two_drives()
    {
        var image = Folder.Image(9 * MiB);
        File_("kitchen.img", image);
        using var a = new LoopDevice(16 * MiB);
        using var b = new LoopDevice(16 * MiB, "--sector-size", "4096");
        _page.Open(_address);
        Picture("1-start");
        _page.Click("#pick");
        _page.Wait("document.querySelectorAll('#entries button').length > 1");
        Picture("2-files");
        _page.Click("#entries button", "kitchen.img");
        _page.Wait("document.getElementById('image-name').textContent === 'kitchen.img'");
        Choose(a, b);
        Picture("3-chosen");
        Assert.Equal("Write to 2 drives", _page.Text("#write"));
        _page.Click("#write");
        Result($"{a.Path}: 9 MiB written and read back.");
        Picture("5-done");
        foreach (var device in (LoopDevice[])[a, b]) Assert.True(image.AsSpan().SequenceEqual(device.Read(image.Length)));
        _page.Click("#again");
        _page.Wait("!document.getElementById('choose').hidden");
        Assert.Equal("[]", _page.Eval("performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith(location.origin) && !n.startsWith('data:'))")!.ToJsonString());
        Assert.Empty(_page.Errors);
    }

    [Fact]
    public void Settings_are_written_into_the_boot_partition()
    {
        using var device = new LoopDevice(64 * MiB);
        _page.Open(_address);
        Type(ConfiguredWriteTests.BootImage());
        Choose(device);
        _page.Click("#settings summary");
        _page.Type("[data-key=hostname]", "kit chen");
        _page.Click("#write");
        _page.Wait("!document.getElementById('write-error').hidden");
        Assert.Contains("letters, digits and hyphens", _page.Text("#write-error"), StringComparison.Ordinal);
        _page.Type("[data-key=hostname]", "kitchen");
        _page.Type("#compose", "services:\n  web:\n    image: nginx\n");
        Picture("6-settings");
        _page.Click("#write");
        Result("written and read back");
        Assert.Equal("hostname: kitchen\n", ConfiguredWriteTests.BootFile(device, "config.yaml"));
        Assert.Contains("nginx", ConfiguredWriteTests.BootFile(device, "compose.yaml"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_in_use_is_shown_with_its_reason_and_cannot_be_chosen()
    {
        using var device = new LoopDevice(32 * MiB);
        Judge.Run("mkfs.ext4", "-q", device.Path).MustPass("mkfs.ext4");
        var at = Directory.CreateDirectory(Path.Combine(_folder, "at")).FullName;
        Judge.Run("mount", device.Path, at).MustPass("mount");
        try
        {
            _page.Open(_address);
            _page.Wait($"document.getElementById('refused-drives').textContent.includes('{device.Path}')");
            Assert.Contains($"mounted at {at}", _page.Text("#refused-drives"), StringComparison.Ordinal);
            Assert.DoesNotContain(device.Path + " ", _page.Text("#drives"), StringComparison.Ordinal);
            Assert.Equal(0, _page.Eval("document.querySelectorAll('#refused-drives button').length")!.GetValue<int>());
            Picture("7-refused");
        }
        finally
        {
            Judge.Run("umount", at);
        }
    }

    [Fact]
    public void Drives_come_and_go_while_the_page_is_open()
    {
        _page.Open(_address);
        Type(File_("a.img", Folder.Image(2 * MiB)));
        string path;
        using (var device = new LoopDevice(8 * MiB))
        {
            path = device.Path;
            Choose(device);
            _page.Wait("!document.getElementById('write').disabled");
        }

        _page.Wait($"![...document.querySelectorAll('.drive')].some(d => d.textContent.includes('{path} '))");
        Assert.True(_page.Eval("document.getElementById('write').disabled")!.GetValue<bool>());
    }

    [Theory]
    [InlineData("/nowhere/a.img", "There is no image /nowhere/a.img.")]
    [InlineData("/etc", "is a folder")]
    [InlineData("http://127.0.0.1:1/a.img", "cannot be fetched")]
    [InlineData("", "Choose an image first")]
    public void An_image_that_is_none_is_told_at_once(string path, string says)
    {
        _page.Open(_address);
        Type(path);
        _page.Wait("!document.getElementById('image-error').hidden");
        Assert.Contains(says, _page.Text("#image-error"), StringComparison.Ordinal);
        Assert.True(_page.Eval("document.getElementById('write').disabled")!.GetValue<bool>());
    }

    [Fact]
    public void A_damaged_image_ends_in_its_sentence()
    {
        var raw = Folder.File("a.img", Folder.Image(6 * MiB));
        Judge.Run("sh", "-c", $"xz -c {raw} | head -c 3000000 > {_folder}/torn.img.xz").MustPass("xz");
        using var device = new LoopDevice(16 * MiB);
        _page.Open(_address);
        Type(Path.Combine(_folder, "torn.img.xz"));
        Choose(device);
        _page.Click("#write");
        Result("does not hold the image");
        Picture("8-failed");
    }

    [Fact]
    public void A_wrong_digest_beside_the_image_is_refused_before_anything_is_written()
    {
        var image = File_("a.img", Folder.Image(4 * MiB));
        File.WriteAllText(image + ".sha256", new string('0', 64) + "\n");
        using var device = new LoopDevice(16 * MiB);
        _page.Open(_address);
        Type(image);
        Choose(device);
        _page.Click("#write");
        Result("is not the expected");
        Assert.All(device.Read(MiB), b => Assert.Equal(0, b));
    }

    [Fact]
    public void An_image_too_large_greys_the_drive()
    {
        using var device = new LoopDevice(2 * MiB);
        _page.Open(_address);
        Type(File_("a.img", Folder.Image(4 * MiB)));
        _page.Wait($"document.getElementById('refused-drives').textContent.includes('{device.Path} ')");
        Assert.Contains("too small: the image has 4 MiB", _page.Text("#refused-drives"), StringComparison.Ordinal);
    }

    [Fact]
    public void Stop_ends_a_write_and_says_in_what_state_the_card_is()
    {
        using var device = new LoopDevice(64 * MiB);
        using var slow = new Throttle(device, 4 * MiB);
        var image = new byte[48 * MiB];
        new Random(1).NextBytes(image);
        _page.Open(_address);
        Type(File_("a.img", image));
        Choose(device);
        _page.Click("#write");
        _page.Wait("document.querySelector('.target .speed')?.textContent.includes('left')");
        Picture("4-progress");
        _page.Click("#stop");
        Assert.Contains("Stopped.", Result("first MiB is blank"), StringComparison.Ordinal);
    }

    [Fact]
    public void One_drive_is_stopped_alone_and_the_other_one_is_finished()
    {
        using var slow = new LoopDevice(64 * MiB);
        using var fast = new LoopDevice(64 * MiB);
        using var throttle = new Throttle(slow, 4 * MiB);
        var image = new byte[24 * MiB];
        new Random(2).NextBytes(image);
        _page.Open(_address);
        Type(File_("a.img", image));
        Choose(slow, fast);
        _page.Click("#write");
        _page.Wait("document.querySelectorAll('.target .stop-one').length === 2 && document.querySelector('.target .speed')?.textContent.includes('left')");
        Picture("10-two-drives");
        _page.Eval($"[...document.querySelectorAll('.target')].find(t => t.textContent.includes('{slow.Path}')).querySelector('.stop-one').click()");
        var text = Result($"{fast.Path}: 24 MiB written and read back.");
        Assert.Contains("Stopped.", text, StringComparison.Ordinal);
        Picture("11-one-stopped");
        Assert.True(image.AsSpan().SequenceEqual(fast.Read(image.Length)));
        Assert.All(slow.Read(MiB), b => Assert.Equal(0, b));
    }

    [Fact]
    public async Task Nobody_but_the_page_gets_in()
    {
        var stop = TestContext.Current.CancellationToken;
        using var stranger = new HttpClient(new HttpClientHandler { UseCookies = false, AllowAutoRedirect = false });
        Assert.Equal(HttpStatusCode.Forbidden, (await stranger.GetAsync(Root + "/", stop)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await stranger.GetAsync(Root + "/?token=" + new string('0', 32), stop)).StatusCode);
        var first = await stranger.GetAsync(_address, stop);
        Assert.Equal(HttpStatusCode.SeeOther, first.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await stranger.GetAsync(_address, stop)).StatusCode);
        var cookie = first.Headers.GetValues("Set-Cookie").Single().Split(';')[0];
        async Task<HttpStatusCode> Ask(HttpMethod method, string path, string? origin, string? host = null)
        {
            using var request = new HttpRequestMessage(method, Root + path);
            request.Headers.Add("Cookie", cookie);
            if (origin is not null) request.Headers.Add("Origin", origin);
            if (host is not null) request.Headers.Host = host;
            if (method == HttpMethod.Post) request.Content = new StringContent("{}", System.Text.Encoding.UTF8, "application/json");
            return (await stranger.SendAsync(request, stop)).StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await Ask(HttpMethod.Get, "/", null));
        Assert.Equal(HttpStatusCode.NotFound, await Ask(HttpMethod.Get, "/nothing", null));
        Assert.Equal(HttpStatusCode.Forbidden, await Ask(HttpMethod.Get, "/", null, "rebound.example:80"));
        Assert.Equal(HttpStatusCode.Forbidden, await Ask(HttpMethod.Post, "/cancel", null));
        Assert.Equal(HttpStatusCode.Forbidden, await Ask(HttpMethod.Post, "/cancel", "http://evil.example"));
        Assert.Equal(HttpStatusCode.Accepted, await Ask(HttpMethod.Post, "/cancel", Root));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, await Ask(HttpMethod.Post, "/write", Root));

        _page.Open(_address);
        Assert.Contains("works once", _page.Text("body"), StringComparison.Ordinal);
        Picture("9-wrong-token");
    }

    [Fact]
    public void The_page_says_so_when_the_program_has_ended()
    {
        _page.Open(_address);
        _page.Wait("document.querySelectorAll('.drive').length > 0");
        Judge.Run("kill", "-INT", _program.Id.ToString()).MustPass("kill");
        Assert.True(_program.WaitForExit(10_000));
        Assert.Equal(0, _program.ExitCode);
        _page.Wait("!document.getElementById('link').hidden");
    }

    public void Dispose()
    {
        if (!_program.HasExited) _program.Kill();
        _program.WaitForExit();
        _program.Dispose();
    }
}
