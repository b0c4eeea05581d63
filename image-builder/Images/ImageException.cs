namespace OsBuild.Images;

/// <summary>What is wrong with the bytes that were read.</summary>
public enum ImageErrorKind
{
    /// <summary>The bytes break the rules of their own format.</summary>
    Corrupt,

    /// <summary>The format is sound, but uses something this library does not do.</summary>
    Unsupported,

    /// <summary>The content does not fit into the space planned for it.</summary>
    TooLarge,
}

/// <summary>Bad or unsupported image bytes. The message is one sentence for a person: it names the thing and what to do next.</summary>
public sealed class ImageException(ImageErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What is wrong.</summary>
    public ImageErrorKind Kind { get; } = kind;
}
