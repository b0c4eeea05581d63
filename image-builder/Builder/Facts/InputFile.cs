namespace OsBuild.ImageBuilder.Facts;

/// <summary>A file that was looked at and found sound enough to be used. Data: what opens it is in Inputs.</summary>
/// <param name="Name">As the user knows it: its name in the deploy directory, or the path that was given.</param>
/// <param name="Path">Where it is opened.</param>
/// <param name="Size">Size in bytes.</param>
internal sealed record InputFile(string Name, string Path, long Size);

/// <summary>A file and where it goes.</summary>
/// <param name="File">The file.</param>
/// <param name="Dest">Path on the boot partition, or the name of its place.</param>
internal sealed record PlacedFile(InputFile File, string Dest);

/// <summary>A piece of firmware that was found.</summary>
internal sealed record PlacedBlob(InputFile File, Boards.Blob Blob);
