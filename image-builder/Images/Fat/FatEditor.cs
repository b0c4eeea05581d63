namespace OsBuild.Images.Fat;

/// <summary>Changes files of an existing FAT file system in place: new content is written to free clusters first, then one directory
/// sector switches to it, then the old clusters are freed, so that a cut in between leaves the old or the new file.</summary>
public sealed class FatEditor(Stream volume)
{
    private readonly Stream _volume = volume;

    /// <summary>Writes a file, new or over an old one; missing directories are made.</summary>
    public void WriteFile(string path, ReadOnlySpan<byte> content, long modifiedAt) => throw new NotImplementedException(_volume.ToString());

    /// <summary>Removes a file; no error when it is not there.</summary>
    public void Delete(string path) => throw new NotImplementedException();
}
