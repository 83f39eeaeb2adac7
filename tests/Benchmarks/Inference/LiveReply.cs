namespace Fleet.Benchmarks.Inference;

/// <summary>A reply that others wait to be under way.</summary>
internal sealed class LiveReply
{
    private readonly Reply _reply;

    public LiveReply(Side side, Ask ask, CancellationToken cancellationToken)
    {
        _reply = new Reply(ask);
        Whole = side.GenerateIntoAsync(_reply, cancellationToken);
    }

    public Task<Reply> Whole { get; }

    public int Tokens => _reply.Tokens;

    /// <exception cref="BenchmarkException">It ended with fewer.</exception>
    public async Task HasAsync(int tokens)
    {
        while (_reply.Tokens < tokens)
        {
            if (Whole.IsCompleted && (await Whole).Tokens < tokens)
                throw new BenchmarkException("A stream ended before it was under way.");
            await Task.Delay(TimeSpan.FromMilliseconds(5));
        }
    }
}
