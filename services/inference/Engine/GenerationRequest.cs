namespace Fleet.Inference.Engine;

internal enum ChatRole
{
    System,
    User,
    Assistant,
    Tool,
}

internal sealed record ChatMessage(ChatRole Role, string Content);

/// <summary>A retrieved passage; <paramref name="Number"/> is what the reply cites.</summary>
internal sealed record Passage(int Number, string Title, string Text, double Score);

/// <summary>One reply to generate. Checked at the border: engines may rely on every range stated here.</summary>
internal sealed record GenerationRequest
{
    public required string RequestId { get; init; }

    public IReadOnlyList<ChatMessage> Messages { get; init; } = [];

    /// <summary>Used without a chat template when not empty; then <see cref="Messages"/> is empty.</summary>
    public string Prompt { get; init; } = "";

    public IReadOnlyList<Passage> Passages { get; init; } = [];

    /// <summary>Upper bound of generated tokens; 0 = until the context is full.</summary>
    public int MaxTokens { get; init; }

    public SamplingParameters Sampling { get; init; } = new();

    /// <summary>At most 16, none empty.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Text an earlier attempt already generated; the stream continues after it.</summary>
    public string ContinueFrom { get; init; } = "";

    public bool Logprobs { get; init; }

    /// <summary>0–20 alternatives per token.</summary>
    public int TopLogprobs { get; init; }

    /// <summary>BCP 47; empty = from the text.</summary>
    public string Language { get; init; } = "";
}

/// <summary>How the next token is drawn. Defaults are the contract's.</summary>
internal sealed record SamplingParameters
{
    /// <summary>0 = greedy.</summary>
    public float Temperature { get; init; } = 0.7f;

    /// <summary>0 or 1 = off.</summary>
    public float TopP { get; init; } = 0.95f;

    /// <summary>0 = off.</summary>
    public int TopK { get; init; } = 40;

    /// <summary>0 = off.</summary>
    public float MinP { get; init; } = 0.05f;

    /// <summary>Null = random.</summary>
    public uint? Seed { get; init; }

    /// <summary>1 = off.</summary>
    public float RepetitionPenalty { get; init; } = 1f;

    public float FrequencyPenalty { get; init; }

    public float PresencePenalty { get; init; }

    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();
}
