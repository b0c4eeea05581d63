namespace OsBuild.Images.Compression;

/// <summary>The sentences for input that cannot be decoded.</summary>
internal static class Damage
{
    public static ImageException Torn(string format) =>
        new(ImageErrorKind.Corrupt, $"The {format} data ends too early: the file was cut off; fetch it again.");

    public static ImageException Corrupt(string format, string what, Exception? inner = null) =>
        new(ImageErrorKind.Corrupt, $"The {format} data is damaged ({what}); fetch the file again.", inner);

    public static ImageException Trailing(string format) =>
        new(ImageErrorKind.Corrupt, $"The {format} data is followed by bytes that do not belong to it; fetch the file again.");

    public static ImageException Unsupported(string format, string what) =>
        new(ImageErrorKind.Unsupported, $"The {format} data uses {what}, which this program does not read; pack the file again with the usual options.");
}
