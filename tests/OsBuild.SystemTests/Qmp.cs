using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace OsBuild.SystemTests;

/// <summary>QEMU's control socket (QEMU Machine Protocol): power button, plugging and pulling of drives. One connection, made at the first use.</summary>
internal sealed class Qmp(string path) : IDisposable
{
    private readonly List<string> _events = [];
    private Socket? _socket;
    private StreamReader? _reader;

    /// <summary>Runs one command. What QEMU refuses fails the test.</summary>
    /// <param name="name">Name of the command.</param>
    /// <param name="arguments">Its arguments as JSON, or null.</param>
    public void Run(string name, string? arguments = null)
    {
        if (_reader is null)
        {
            _socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 120_000 };
            _socket.Connect(new UnixDomainSocketEndPoint(path));
            _reader = new StreamReader(new NetworkStream(_socket));
            _reader.ReadLine(); // the greeting
            Ask("{\"execute\":\"qmp_capabilities\"}");
        }

        Ask(arguments is null ? $"{{\"execute\":\"{name}\"}}" : $"{{\"execute\":\"{name}\",\"arguments\":{arguments}}}");
    }

    /// <summary>Waits for an event that has not been waited for yet.</summary>
    public void WaitFor(string name)
    {
        while (!_events.Remove(name))
        {
            var line = _reader!.ReadLine();
            Assert.True(line is not null, $"QEMU ended before {name}");
            Note(line);
        }
    }

    public void Dispose()
    {
        _reader?.Dispose();
        _socket?.Dispose();
    }

    private void Ask(string command)
    {
        _socket!.Send(Encoding.ASCII.GetBytes(command + "\n"));
        while (_reader!.ReadLine() is { } line)
        {
            using var answer = JsonDocument.Parse(line);
            if (answer.RootElement.TryGetProperty("return", out _)) return;
            Assert.False(answer.RootElement.TryGetProperty("error", out var error), $"QEMU refused {command}: {error}");
            Note(line);
        }

        Assert.Fail($"QEMU ended while it was told {command}");
    }

    private void Note(string line)
    {
        using var said = JsonDocument.Parse(line);
        if (said.RootElement.TryGetProperty("event", out var name)) _events.Add(name.GetString()!);
    }
}
