namespace OsBuild.ImageBuilder.Facts;

/// <summary>Everything that is wrong with a job, one sentence each, so that a person mends all of it before the next try.</summary>
internal sealed class Problems
{
    private readonly List<string> _sentences = [];

    public IReadOnlyList<string> Sentences => _sentences;

    public bool Any => _sentences.Count > 0;

    public void Add(string sentence)
    {
        if (!_sentences.Contains(sentence)) _sentences.Add(sentence);
    }

    /// <summary>What a library says of a file, without its advice: the sentence around it has better.</summary>
    public static string Cause(Exception e) => e.Message.Split(';')[0].TrimEnd('.');

    /// <exception cref="RefusedException">There is a problem.</exception>
    public void ThrowIfAny()
    {
        if (Any) throw new RefusedException(Sentences);
    }
}

/// <summary>A job that was refused before anything was written. Exit code 2.</summary>
internal sealed class RefusedException(IReadOnlyList<string> sentences) : Exception(string.Join("\n", sentences))
{
    public RefusedException(string sentence) : this([sentence])
    {
    }

    public IReadOnlyList<string> Sentences => sentences;
}
