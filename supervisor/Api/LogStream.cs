using System.Text;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Api;

/// <summary>Copies what containers wrote, line by line, from the engine's own bounded log files.</summary>
internal static class LogStream
{
    private const int MaxLine = 16 * 1024;

    public static async Task CopyAsync(EngineClient engine, List<ContainerState> containers, bool follow, string tail, string? since, bool named, Stream to, CancellationToken stop)
    {
        using var gate = new SemaphoreSlim(1);
        async Task CopyOne(ContainerState container)
        {
            try
            {
                using var stream = await engine.LogsAsync(container.Id, new() { ShowStdout = true, ShowStderr = true, Follow = follow, Tail = tail, Since = since!, Timestamps = named }, stop);
                var buffer = new byte[8192];
                var line = new List<byte>();
                var prefix = named ? $"{container.Service} | " : "";
                while (await stream.ReadOutputAsync(buffer, 0, buffer.Length, stop) is { EOF: false } read)
                    for (var i = 0; i < read.Count; i++)
                    {
                        line.Add(buffer[i]);
                        if (buffer[i] == '\n' || line.Count >= MaxLine) await WriteAsync(prefix, line);
                    }

                if (line.Count > 0) await WriteAsync(prefix, line);
            }
            catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException)
            {
                await WriteAsync("", [.. Encoding.UTF8.GetBytes($"{container.Name}: {e.Message}")]);
            }
        }

        async Task WriteAsync(string prefix, List<byte> line)
        {
            if (line.Count == 0 || line[^1] != '\n') line.Add((byte)'\n');
            await gate.WaitAsync(stop);
            try
            {
                await to.WriteAsync((byte[])[.. Encoding.UTF8.GetBytes(prefix), .. line], stop);
            }
            finally
            {
                gate.Release();
                line.Clear();
            }
        }

        await Task.WhenAll(containers.Select(CopyOne));
    }
}
