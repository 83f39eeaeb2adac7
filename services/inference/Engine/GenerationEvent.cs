namespace Fleet.Inference.Engine;

internal enum FinishReason
{
    /// <summary>End of turn or a stop sequence.</summary>
    Stop,

    /// <summary>The token limit or the end of the context.</summary>
    Length,
}

/// <summary>What a reply's stream carries: one <see cref="GenerationStarted"/>, any number of deltas, one <see cref="GenerationFinished"/>.</summary>
internal abstract record GenerationEvent;

internal sealed record GenerationStarted(int PromptTokens, int CachedTokens, TimeSpan Queued) : GenerationEvent;

/// <summary>Whole characters only; the text may be empty while a character or a possible stop sequence is incomplete.</summary>
internal sealed record GenerationDelta(string Text, IReadOnlyList<int> TokenIds, IReadOnlyList<TokenLogprob> Logprobs) : GenerationEvent
{
    public static GenerationDelta OfText(string text) => new(text, [], []);
}

internal sealed record GenerationFinished(FinishReason Reason, int PromptTokens, int CompletionTokens, GenerationTimings Timings) : GenerationEvent;

/// <summary>Where the time of one reply went.</summary>
internal sealed record GenerationTimings(TimeSpan Queued, TimeSpan Prefill, TimeSpan Decode, TimeSpan TimeToFirstToken);

internal sealed record TokenLogprob(int TokenId, ReadOnlyMemory<byte> Bytes, float Logprob, IReadOnlyList<TokenLogprob> Top);
