namespace Fleet.Inference.Engine.Embedding;

/// <summary>
/// The texts of one call. They may be computed in any order, for the caller waits for all of them: longest first packs best.
/// Guarded by its <see cref="TextEngine"/>'s lock; <see cref="Completion"/> may be awaited by anybody.
/// </summary>
internal sealed class TextRequest
{
    // Indices of texts not yet taken, shortest first.
    private readonly List<int> _waiting;
    private readonly TaskCompletionSource<float[][]> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly float[][] _outputs;
    private int _unfinished;

    /// <param name="texts">At least one, none empty.</param>
    public TextRequest(IReadOnlyList<int[]> texts, Requester requester)
    {
        Texts = texts;
        Requester = requester;
        _outputs = new float[texts.Count][];
        _unfinished = texts.Count;
        _waiting = [.. Enumerable.Range(0, texts.Count).OrderBy(index => texts[index].Length)];
        WaitingTokens = texts.Sum(text => (long)text.Length);
    }

    public IReadOnlyList<int[]> Texts { get; }

    public Requester Requester { get; }

    public Task<float[][]> Completion => _completion.Task;

    /// <summary>Of texts not yet taken.</summary>
    public long WaitingTokens { get; private set; }

    public bool HasWaiting => _waiting.Count > 0;

    /// <summary>Whether any text has been taken into a batch.</summary>
    public bool Started => _waiting.Count < Texts.Count;

    /// <summary>Takes the longest text that fits.</summary>
    /// <param name="room">Tokens left in the batch.</param>
    /// <param name="any">The batch is empty: the longest text goes, whatever its length.</param>
    public bool TryTake(int room, bool any, out TextWork work)
    {
        var at = any ? _waiting.Count - 1 : LastThatFits(room);
        if (at < 0)
        {
            work = default;
            return false;
        }

        work = new TextWork(this, _waiting[at]);
        _waiting.RemoveAt(at);
        WaitingTokens -= work.Tokens.Length;
        return true;
    }

    /// <summary>True when this was the last.</summary>
    public bool Complete(int index, float[] output)
    {
        _outputs[index] = output;
        return --_unfinished == 0 && _completion.TrySetResult(_outputs);
    }

    public void Fail(Exception exception) => _completion.TrySetException(exception);

    public void Cancel(CancellationToken cancellationToken) => _completion.TrySetCanceled(cancellationToken);

    private int LastThatFits(int room)
    {
        var (low, high) = (0, _waiting.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (Texts[_waiting[middle]].Length <= room)
                low = middle + 1;
            else
                high = middle;
        }

        return low - 1;
    }
}

/// <summary>One text of a request, in a batch.</summary>
internal readonly record struct TextWork(TextRequest Request, int Index)
{
    public int[] Tokens => Request.Texts[Index];
}
