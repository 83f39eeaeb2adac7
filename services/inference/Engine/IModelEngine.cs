namespace Fleet.Inference.Engine;

/// <summary>A model that is in memory and can work. Thread-safe; disposing ends what still runs.</summary>
internal interface IModelEngine : IAsyncDisposable
{
    EngineActivity Activity { get; }

    TokenList Tokenize(string text);

    /// <summary>The messages as <see cref="ITextGenerator.GenerateAsync"/> would see them, template included.</summary>
    TokenList Tokenize(IReadOnlyList<ChatMessage> messages);
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
    Task<EmbeddingBatch> EmbedAsync(IReadOnlyList<string> texts, bool truncate, CancellationToken cancellationToken);
}

/// <param name="Ids">Empty for engines without a vocabulary.</param>
internal sealed record TokenList(IReadOnlyList<int> Ids, int Count);

internal sealed record EmbeddingBatch(IReadOnlyList<TextEmbedding> Embeddings, int PromptTokens);

internal readonly record struct TextEmbedding(float[] Values, bool Truncated);

/// <summary>What an engine is doing now.</summary>
internal sealed record EngineActivity(int Running, int Queued, IReadOnlyList<SequenceActivity> Sequences)
{
    public static EngineActivity Idle { get; } = new(0, 0, []);
}

/// <param name="State">waiting, prefill or decode.</param>
internal sealed record SequenceActivity(string RequestId, string State, int PromptTokens, int CompletionTokens);
