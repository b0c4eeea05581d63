using System.Text;
using System.Text.Json;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Commands;

/// <summary>What a command says: a bar on a terminal, lines elsewhere, JSON objects with <c>--json</c>.</summary>
internal sealed class Reporter(bool json, TextWriter output, TextWriter errors, bool terminal)
{
    private const int BarWidth = 30;
    private string _phase = "";
    private bool _barShown;

    public bool Json => json;

    public TextWriter Output => output;

    /// <summary>Progress that is shown here.</summary>
    public Progress Progress() => new(TimeProvider.System, Show);

    private void Show(string phase, long done, long total, long rate)
    {
        if (json)
        {
            Line(w =>
            {
                w.WriteString("phase", phase);
                w.WriteNumber("done", done);
                w.WriteNumber("total", total);
                w.WriteNumber("bytesPerSecond", rate);
            });
        }
        else if (terminal)
        {
            var filled = total <= 0 ? BarWidth : (int)Math.Clamp(done * BarWidth / total, 0, BarWidth);
            errors.Write($"\r\u001b[K{phase,-9}[{new string('#', filled)}{new string('.', BarWidth - filled)}] {new ByteSize(done)} of {new ByteSize(total)}, {new ByteSize(rate)}/s");
            _barShown = true;
        }
        else if (phase != _phase)
        {
            errors.WriteLine($"{phase}: {new ByteSize(total)}");
        }

        _phase = phase;
    }

    /// <summary>One JSON object on a line of its own.</summary>
    public void Line(Action<Utf8JsonWriter> write)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        output.WriteLine(Encoding.UTF8.GetString(bytes.ToArray()));
    }

    /// <summary>The last line of a job that ended well.</summary>
    public int Done(string message)
    {
        Result("ok", message, output);
        return 0;
    }

    /// <summary>Runs a command and turns what goes wrong into a sentence and an exit code.</summary>
    public int Run(Func<int> command)
    {
        try
        {
            return command();
        }
        catch (RefusedException e)
        {
            if (json) Result("refused", string.Join(" ", e.Sentences), output);
            else foreach (var sentence in e.Sentences) Problem(sentence);
            return 2;
        }
        catch (OperationCanceledException)
        {
            Result("failed", "Stopped; nothing was left behind.", errors);
            return 1;
        }
        catch (Exception e) when (e is ImageException or IOException or UnauthorizedAccessException)
        {
            Result("failed", e.Message, errors);
            return 1;
        }
    }

    /// <summary>One thing worth knowing.</summary>
    public void Note(string sentence)
    {
        EndBar();
        if (json) Line(w => w.WriteString("note", sentence));
        else errors.WriteLine($"note: {sentence}");
    }

    /// <summary>One thing that is wrong.</summary>
    public void Problem(string sentence)
    {
        EndBar();
        errors.WriteLine($"error: {sentence}");
    }

    private void Result(string result, string message, TextWriter plain)
    {
        EndBar();
        if (json)
        {
            Line(w =>
            {
                w.WriteString("result", result);
                w.WriteString("message", message);
            });
        }
        else
        {
            plain.WriteLine(result == "ok" ? message : $"error: {message}");
        }
    }

    private void EndBar()
    {
        if (_barShown) errors.Write("\r\u001b[K");
        _barShown = false;
    }
}
