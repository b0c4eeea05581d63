namespace OsBuild.Images.Copying;

/// <summary>Reads an image from front to back and checks all that is known of it: that it unpacks, its length, its digest, its map. Writes nothing.</summary>
public static class ImageCheck
{
    /// <summary>Reads and checks.</summary>
    /// <param name="source">The image. Its edits are left out: what is known speaks of the image without them.</param>
    /// <param name="at">Told after every MiB how many bytes of the decoded image have been read; may throw to stop.</param>
    /// <returns>Length of the decoded image in bytes.</returns>
    /// <exception cref="ImageException">The image is not what it says it is.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static long Run(CopySource source, Action<long> at)
    {
        using var image = new ImageReader(source, useMap: false, findZeros: false, sectorSize: 512);
        var buffer = new byte[1 << 20];
        while (image.Next(buffer) > 0) at(image.Position);
        return image.Position;
    }
}
