using System.Text;

namespace OsBuild.Images.Trees;

/// <summary>Turns file names between bytes and text without loss: bytes that are not UTF-8 become U+DC80..U+DCFF, as Python's surrogateescape does.</summary>
public static class UnixText
{
    /// <summary>Reads bytes as text.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        if (System.Text.Unicode.Utf8.IsValid(bytes)) return Encoding.UTF8.GetString(bytes);
        var text = new StringBuilder(bytes.Length);
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out var rune, out var used) == System.Buffers.OperationStatus.Done)
                text.Append(rune.ToString());
            else
                for (var i = 0; i < used; i++) text.Append((char)(0xDC00 + bytes[i]));
            bytes = bytes[used..];
        }

        return text.ToString();
    }

    /// <summary>Gives the bytes of a text that <see cref="Decode"/> made, or of any ordinary text.</summary>
    public static byte[] Encode(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return Encoding.UTF8.GetBytes(text);
        var bytes = new List<byte>(text.Length);
        Span<byte> buffer = stackalloc byte[4];
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] is >= '\uDC80' and <= '\uDCFF' && (i == 0 || !char.IsHighSurrogate(text[i - 1])))
            {
                bytes.Add((byte)(text[i] - 0xDC00));
                continue;
            }

            var rune = Rune.TryGetRuneAt(text, i, out var r) ? r : Rune.ReplacementChar;
            bytes.AddRange(buffer[..rune.EncodeToUtf8(buffer)]);
            if (rune.Utf16SequenceLength == 2) i++;
        }

        return [.. bytes];
    }
}
