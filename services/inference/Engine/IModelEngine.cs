namespace Fleet.Inference.Engine;

/// <summary>A model that is in memory and can work. Thread-safe; disposing ends what still runs.</summary>
internal interface IModelEngine : IAsyncDisposable
{
    EngineActivity Activity { get; }

    TokenList Tokenize(string text);

    /// <summary>The messages as <see cref="ITextGenerator.GenerateAsync"/> would see them, template included.</summary>
    TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools);
}

internal interface ITextGenerator : IModelEngine
{
    /// <summary>
    /// Streams one reply. Throws <see cref="EngineException"/> before the first event when the request cannot be taken;
    /// cancelling frees the slot before the enumeration ends.
    /// </summary>
    IAsyncEnumerable<GenerationEvent> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken);
}

internal interface ITextEmbedder : IModelEngine
{
    int Dimensions { get; }

    /// <summary>Names the embedding space: vectors of different spaces must not be compared.</summary>
    string Space { get; }

    /// <summary>Embeds texts in order; vectors have length one. A text beyond the context is cut or refused.</summary>
    Task<EmbeddingBatch> EmbedAsync(IReadOnlyList<string> texts, bool truncate, Requester requester, CancellationToken cancellationToken);
}

internal interface ITextReranker : IModelEngine
{
    /// <summary>Scores documents against a query, in order; between 0 and 1, higher is more relevant. One beyond the context is cut or refused.</summary>
    Task<RerankBatch> RerankAsync(string query, IReadOnlyList<string> documents, bool truncate, Requester requester, CancellationToken cancellationToken);
}

internal sealed record RerankBatch(IReadOnlyList<double> Scores, int PromptTokens);

/// <param name="Ids">Empty for engines without a vocabulary.</param>
internal sealed record TokenList(IReadOnlyList<int> Ids, int Count);

internal sealed record EmbeddingBatch(IReadOnlyList<TextEmbedding> Embeddings, int PromptTokens);

internal readonly record struct TextEmbedding(float[] Values, bool Truncated);

/// <summary>What an engine is doing now.</summary>
internal sealed record EngineActivity(int Running, int Queued, IReadOnlyList<SequenceActivity> Sequences)
{
    public static EngineActivity Idle { get; } = new(0, 0, []);

    /// <summary>Null for engines that do not run on llama.cpp.</summary>
    public EngineGauges? Gauges { get; init; }
}

/// <param name="State">waiting, held, prefill, decode or preempted.</param>
internal sealed record SequenceActivity(string RequestId, string State, int PromptTokens, int CompletionTokens)
{
    public int CachedTokens { get; init; }

    public Lane Lane { get; init; }

    public TimeSpan Age { get; init; }

    /// <summary>The cache's sequence; -1 without one.</summary>
    public int SequenceId { get; init; } = -1;
}

/// <summary>The state of a generator's cache, threads and speed. Counters count from the load.</summary>
internal sealed record EngineGauges
{
    public int KvCells { get; init; }

    public int KvCellsUsed { get; init; }

    /// <summary>Used by more than one sequence.</summary>
    public int KvCellsShared { get; init; }

    /// <summary>Kept for later requests only.</summary>
    public int KvCellsCached { get; init; }

    /// <summary>unified or separate.</summary>
    public string KvLayout { get; init; } = "";

    public int Sequences { get; init; }

    public int DecodeThreads { get; init; }

    public int MaxDecodeThreads { get; init; }

    public long Preemptions { get; init; }

    public long Steps { get; init; }

    public long PromptTokens { get; init; }

    /// <summary>Of <see cref="PromptTokens"/>: served from the prefix cache.</summary>
    public long CachedTokens { get; init; }

    /// <summary>Over the last seconds; 0 when idle.</summary>
    public double PrefillTokensPerSecond { get; init; }

    /// <summary>Over the last seconds; 0 when idle.</summary>
    public double DecodeTokensPerSecond { get; init; }

    public long DraftedTokens { get; init; }

    public long AcceptedTokens { get; init; }

    /// <summary>Until a request that came now would get its slot.</summary>
    public TimeSpan EstimatedWait { get; init; }

    /// <summary>Share of all prompt tokens that came from the prefix cache; 0 before the first.</summary>
    public double CacheHitRatio => PromptTokens > 0 ? (double)CachedTokens / PromptTokens : 0;
}
