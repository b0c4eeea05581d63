using System.Buffers.Binary;
using System.Globalization;

namespace OsBuild.Supervisor.Init;

/// <summary>Input devices with a power key: an ACPI button, a GPIO key, a keyboard.</summary>
internal static class PowerButton
{
    private const int KeyPower = 116; // include/uapi/linux/input-event-codes.h
    private const int EventSize = 24; // struct input_event on 64-bit: two longs of time, u16 type, u16 code, s32 value

    /// <summary>Calls back when a power key is pressed. Looks for new devices now and then.</summary>
    public static void Watch(Action pressed, Action<string> log)
    {
        var watched = new HashSet<string>();
        new Thread(() =>
        {
            while (true)
            {
                foreach (var device in Devices())
                    if (watched.Add(device)) Start(device, pressed, log);
                Thread.Sleep(5000);
            }
        }) { IsBackground = true, Name = "input" }.Start();
    }

    /// <summary>True when a capability bitmap of sysfs (hex words, highest first) has a key.</summary>
    public static bool HasKey(string bitmap, int key)
    {
        var words = bitmap.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var index = words.Length - 1 - (key / 64);
        return index >= 0 && ulong.TryParse(words[index], NumberStyles.HexNumber, null, out var word) && (word >> (key % 64) & 1) != 0;
    }

    /// <summary>True when an event is a press (not a release or a repeat) of the power key.</summary>
    public static bool IsPress(ReadOnlySpan<byte> inputEvent) =>
        inputEvent.Length >= EventSize && BinaryPrimitives.ReadUInt16LittleEndian(inputEvent[16..]) == 1 &&
        BinaryPrimitives.ReadUInt16LittleEndian(inputEvent[18..]) == KeyPower && BinaryPrimitives.ReadInt32LittleEndian(inputEvent[20..]) == 1;

    private static IEnumerable<string> Devices()
    {
        if (!Directory.Exists("/sys/class/input")) return [];
        return [.. Directory.EnumerateFileSystemEntries("/sys/class/input", "event*").Where(IsPower).Select(p => "/dev/input/" + Path.GetFileName(p)).Where(File.Exists)];
    }

    private static bool IsPower(string device)
    {
        try
        {
            return HasKey(File.ReadAllText(Path.Combine(device, "device/capabilities/key")).Trim(), KeyPower);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static void Start(string device, Action pressed, Action<string> log) => new Thread(() =>
    {
        try
        {
            using var stream = new FileStream(device, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 0);
            var buffer = new byte[EventSize * 16];
            while (true)
            {
                var got = stream.Read(buffer);
                if (got <= 0) return;
                for (var at = 0; at + EventSize <= got; at += EventSize)
                    if (IsPress(buffer.AsSpan(at, EventSize))) pressed();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log($"{device}: {e.Message}"); // unplugged
        }
    }) { IsBackground = true, Name = device }.Start();
}
