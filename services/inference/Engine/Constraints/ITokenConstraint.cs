namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// What a reply may say next, token by token. One reply's, decode thread only. The cheap question comes first: a sampler draws freely, asks
/// <see cref="Allows"/> about the one token, and only on a refusal masks the whole vocabulary.
/// </summary>
internal interface ITokenConstraint : IDisposable
{
    /// <summary>Whether this token may come next; changes nothing.</summary>
    bool Allows(int token);

    /// <summary>Sets the score of every token that may not come next to negative infinity; changes nothing else.</summary>
    /// <param name="scores">One per token of the vocabulary.</param>
    void Mask(Span<float> scores);

    /// <summary>The token was chosen; it must be allowed.</summary>
    void Accept(int token);
}

/// <summary>A grammar a reply must follow, before it is compiled for a vocabulary.</summary>
internal sealed record GrammarSpec
{
    /// <summary>GBNF with a rule named root.</summary>
    public required string Gbnf { get; init; }

    /// <summary>True: text is free until one of the triggers appears (tool calls), then the grammar holds.</summary>
    public bool Lazy { get; init; }

    /// <summary>Patterns as llama.cpp's grammar sampler takes them; matched from the start of the text.</summary>
    public IReadOnlyList<string> TriggerPatterns { get; init; } = [];

    public IReadOnlyList<int> TriggerTokens { get; init; } = [];

    /// <summary>Text the template already wrote into the assistant's turn and the grammar therefore begins with; accepted before the first token is drawn.</summary>
    public string Prefix { get; init; } = "";
}
