namespace OsBuild.Images.Streams;

/// <summary>A content stream that knows where its runs of zeros are, so that a copy need not read them.</summary>
public interface IHoles
{
    /// <summary>Moves past the hole at the current position.</summary>
    /// <returns>The number of zero bytes that were skipped; 0 when there is data here or the stream is at its end.</returns>
    long SkipHole();
}
