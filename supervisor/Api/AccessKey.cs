using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Api;

/// <summary>The device's key: whoever has it may do everything over the network. Made at the first boot, kept on the state partition, 100 random bits
/// that a person can type.</summary>
internal sealed class AccessKey
{
    public const string CookieName = "osbuild";
    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    private const int Symbols = 20;
    private static readonly TimeSpan SessionTime = TimeSpan.FromDays(30);

    private readonly string file;
    private volatile string text = "";

    private AccessKey(string file) => this.file = file;

    /// <summary>Four groups of five.</summary>
    public string Text => text;

    /// <summary>Why the key could not be kept, and so will be another one after a reboot; null when all is well.</summary>
    public string? WriteError { get; private set; }

    /// <summary>The key of this device; a new one when there is none yet, or none that can be read.</summary>
    public static AccessKey LoadOrMake(string directory)
    {
        var key = new AccessKey(Path.Combine(directory, "key"));
        try
        {
            if (File.Exists(key.file) && Normal(File.ReadAllText(key.file)) is { Length: Symbols } known) key.text = Grouped(known);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            key.WriteError = e.Message;
        }

        if (key.text.Length == 0) key.Renew();
        return key;
    }

    /// <summary>Makes a new key; the old one and every session made with it end.</summary>
    public void Renew()
    {
        text = Grouped(RandomNumberGenerator.GetString(Alphabet, Symbols));
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };
            using (var stream = new FileStream(file + ".new", options))
            {
                stream.Write(Encoding.ASCII.GetBytes(text + "\n"));
                stream.Flush(flushToDisk: true);
            }

            File.Move(file + ".new", file, overwrite: true);
            using var folder = Libc.OpenDirectory(Path.GetDirectoryName(file)!);
            Libc.SyncFile(folder, file);
            WriteError = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException)
        {
            WriteError = e.Message;
        }
    }

    /// <summary>True for the key however a person types it: case, hyphens, O for 0, I and L for 1.</summary>
    public bool Matches(string given) => given.Length < 100 && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(Normal(given)), Encoding.UTF8.GetBytes(Normal(text)));

    /// <summary>A value that opens the device for a month, without the key being sent again.</summary>
    public string Session(DateTimeOffset now)
    {
        var until = (now + SessionTime).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return until + "." + Seal(until);
    }

    public bool Admits(string session, DateTimeOffset now)
    {
        var dot = session.IndexOf('.');
        if (dot < 1 || !long.TryParse(session.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var until) || until < now.ToUnixTimeSeconds()) return false;
        return CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(session[(dot + 1)..]), Encoding.UTF8.GetBytes(Seal(session[..dot])));
    }

    private string Seal(string until) => Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(Normal(text)), Encoding.UTF8.GetBytes("session " + until)));

    private static string Grouped(string symbols) => string.Join('-', symbols.Chunk(5).Select(c => new string(c)));

    private static string Normal(string typed)
    {
        var symbols = new StringBuilder();
        foreach (var c in typed.ToUpperInvariant())
            if (c is 'O') symbols.Append('0');
            else if (c is 'I' or 'L') symbols.Append('1');
            else if (c != '-' && !char.IsWhiteSpace(c)) symbols.Append(c);
        return symbols.ToString();
    }
}
