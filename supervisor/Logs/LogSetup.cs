using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace OsBuild.Supervisor.Logs;

/// <summary>The worker's own log: the console, and bounded files on the data partition.</summary>
internal static class LogSetup
{
    private const long MaxFile = 1 << 20;
    private const int Files = 4;

    public static Logger Create(string directory)
    {
        // PID 1 stamps what its worker prints.
        const string template = "{Message:lj}{NewLine}{Exception}";
        var configuration = new LoggerConfiguration().MinimumLevel.Is(LogEventLevel.Information).WriteTo.Console(outputTemplate: template);
        try
        {
            Directory.CreateDirectory(directory);
            configuration = configuration.WriteTo.File(Path.Combine(directory, "supervisor.log"), outputTemplate: "{Timestamp:yyyy-MM-ddTHH:mm:ss.fffzzz} [{Level:u3}] {Message:lj}{NewLine}{Exception}",
                fileSizeLimitBytes: MaxFile, rollOnFileSizeLimit: true, retainedFileCountLimit: Files);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"[osbuild] no log files: {e.Message}");
        }

        return configuration.CreateLogger();
    }
}
