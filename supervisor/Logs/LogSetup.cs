using System.Globalization;
using OsBuild.Supervisor.Init;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;

namespace OsBuild.Supervisor.Logs;

/// <summary>The worker's own log: the console, and a bounded file on the data partition.</summary>
internal static class LogSetup
{
    /// <param name="directory">Where the file lies. One that cannot be made costs the file, not the log.</param>
    /// <param name="maxFile">When <c>supervisor.log</c> becomes <c>supervisor.log.1</c>, in bytes.</param>
    public static Logger Create(string directory, long maxFile = 2 << 20)
    {
        // PID 1 stamps what its worker prints.
        var configuration = new LoggerConfiguration().MinimumLevel.Is(LogEventLevel.Information).WriteTo.Sink(new LineSink("{Message:lj}{NewLine}{Exception}", Console.Out.WriteLine));
        try
        {
            Directory.CreateDirectory(directory);
            var file = new BoundedLog(Path.Combine(directory, "supervisor.log"), maxFile);
            configuration = configuration.WriteTo.Sink(new LineSink("{Timestamp:yyyy-MM-ddTHH:mm:ss.fffzzz} [{Level:u3}] {Message:lj}{NewLine}{Exception}", file.Line, file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"[osbuild] no log files: {e.Message}");
        }

        return configuration.CreateLogger();
    }

    /// <summary>Events as lines. What <paramref name="write"/> throws (a full disk), Serilog takes.</summary>
    private sealed class LineSink(string template, Action<string> write, IDisposable? owned = null) : ILogEventSink, IDisposable
    {
        private readonly MessageTemplateTextFormatter format = new(template, CultureInfo.InvariantCulture);

        public void Emit(LogEvent logEvent)
        {
            using var text = new StringWriter(CultureInfo.InvariantCulture);
            format.Format(logEvent, text);
            write(text.ToString().TrimEnd('\n'));
        }

        public void Dispose() => owned?.Dispose();
    }
}
