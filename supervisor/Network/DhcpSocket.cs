using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OsBuild.Supervisor.Network;

/// <summary>UDP port 68 on one interface. Answers come by broadcast, which an interface without an address takes too.</summary>
internal sealed class DhcpSocket : IDisposable
{
    private const int SolSocket = 1, SoBindToDevice = 25;
    private static readonly IPEndPoint Anyone = new(IPAddress.Any, 0);
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly byte[] _buffer = new byte[1500];

    public DhcpSocket(string interfaceName)
    {
        _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        _socket.EnableBroadcast = true;
        _socket.SetRawSocketOption(SolSocket, SoBindToDevice, Encoding.ASCII.GetBytes(interfaceName + "\0"));
        _socket.Bind(new IPEndPoint(IPAddress.Any, 68));
    }

    public void Send(DhcpMessage message, IPAddress? to) => _socket.SendTo(message.ToBytes(), new IPEndPoint(to ?? IPAddress.Broadcast, 67));

    /// <summary>The next message, or null when none came in time or what came is not one.</summary>
    public async Task<DhcpMessage?> ReceiveAsync(TimeSpan patience, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(patience);
        try
        {
            var got = await _socket.ReceiveFromAsync(_buffer, SocketFlags.None, Anyone, limit.Token);
            return DhcpMessage.Parse(_buffer.AsSpan(0, got.ReceivedBytes));
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return null;
        }
    }

    public void Dispose() => _socket.Dispose();
}
