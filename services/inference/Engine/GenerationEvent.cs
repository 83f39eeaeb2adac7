namespace Fleet.Inference.Engine;

internal enum FinishReason
{
    /// <summary>End of turn or a stop sequence.</summary>
    Stop,

    /// <summary>The token limit or the end of the context.</summary>
    Length,

    /// <summary>The model waits for the answers of its tool calls.</summary>
    ToolCalls,
}

/// <summary>What a reply's stream carries: one <see cref="GenerationStarted"/>, any number of deltas, one <see cref="GenerationFinished"/>.</summary>
internal abstract record GenerationEvent;

internal sealed record GenerationStarted(int PromptTokens, int CachedTokens, TimeSpan Queued) : GenerationEvent;

/// <summary>Whole characters only; the text may be empty while a character or a possible stop sequence is incomplete.</summary>
internal sealed record GenerationDelta(string Text, IReadOnlyList<int> TokenIds, IReadOnlyList<TokenLogprob> Logprobs) : GenerationEvent
{
    /// <summary>The model's thinking, apart from its answer.</summary>
    public string Reasoning { get; init; } = "";

    public IReadOnlyList<ToolCallDelta> ToolCalls { get; init; } = [];

    /// <summary>The model's own text this was read from, which a later attempt continues from; null: the text itself.</summary>
    public string? Raw { get; init; }

    public static GenerationDelta OfText(string text) => new(text, [], []);
}

/// <summary>A piece of a tool call: the first of an index carries id and name, all carry a fragment of the arguments.</summary>
/// <param name="Index">Dense from 0 within the reply.</param>
internal sealed record ToolCallDelta(int Index, string Id, string Name, string Arguments);

internal sealed record GenerationFinished(FinishReason Reason, int PromptTokens, int CompletionTokens, GenerationTimings Timings) : GenerationEvent
{
    /// <summary>Null: the number <see cref="GenerationStarted"/> gave.</summary>
    public int? CachedTokens { get; init; }

    public int ReasoningTokens { get; init; }

    /// <summary>Speculative decoding: tokens guessed.</summary>
    public int DraftedTokens { get; init; }

    /// <summary>Speculative decoding: guesses that were right.</summary>
    public int AcceptedTokens { get; init; }

    /// <summary>The stop sequence that ended the reply; empty otherwise.</summary>
    public string StopSequence { get; init; } = "";

    /// <summary>The model that answered, when a fall-back took over after the start; else empty.</summary>
    public string Model { get; init; } = "";
}

/// <summary>Where the time of one reply went.</summary>
internal sealed record GenerationTimings(TimeSpan Queued, TimeSpan Prefill, TimeSpan Decode, TimeSpan TimeToFirstToken);

internal sealed record TokenLogprob(int TokenId, ReadOnlyMemory<byte> Bytes, float Logprob, IReadOnlyList<TokenLogprob> Top);
