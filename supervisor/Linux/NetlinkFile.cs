using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace OsBuild.Supervisor.Linux;

/// <summary>A netlink(7) socket, which .NET's Socket has no address family for.</summary>
internal sealed unsafe class NetlinkFile : IDisposable
{
    private const int Family = 16; // AF_NETLINK
    private readonly SafeFileHandle _socket;

    /// <param name="protocol">NETLINK_ROUTE and so on.</param>
    /// <param name="groups">Multicast groups to hear, as a bit mask.</param>
    public NetlinkFile(int protocol, uint groups = 0)
    {
        var descriptor = socket(Family, SOCK_RAW | SOCK_CLOEXEC, protocol);
        if (descriptor < 0)
        {
            var error = errno;
            throw new LinuxException("netlink socket", error);
        }

        _socket = new SafeFileHandle(descriptor, ownsHandle: true);
        var address = stackalloc byte[12]; // struct sockaddr_nl { u16 family; u16 pad; u32 pid; u32 groups; }
        new Span<byte>(address, 12).Clear();
        *(ushort*)address = Family;
        *(uint*)(address + 8) = groups;
        if (bind(descriptor, (sockaddr*)address, 12) == 0) return;
        var failed = errno;
        _socket.Dispose();
        throw new LinuxException("netlink bind", failed);
    }

    public void Send(ReadOnlySpan<byte> message)
    {
        fixed (byte* bytes = message)
        {
            if ((long)send((int)_socket.DangerousGetHandle(), bytes, message.Length, 0) == message.Length) return;
            var error = errno;
            throw new LinuxException("netlink send", error);
        }
    }

    public int Receive(Span<byte> buffer)
    {
        fixed (byte* bytes = buffer)
        {
            var got = (long)recv((int)_socket.DangerousGetHandle(), bytes, buffer.Length, 0);
            if (got >= 0) return (int)got;
            var error = errno;
            throw new LinuxException("netlink receive", error);
        }
    }

    public void Dispose() => _socket.Dispose();
}
