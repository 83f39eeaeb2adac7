namespace Fleet.Inference.Engine.Chat;

/// <summary>A stretch of a prompt.</summary>
/// <param name="ControlTokens">Whether texts of control tokens in it become control tokens.</param>
internal readonly record struct PromptSegment(string Text, bool ControlTokens);

/// <summary>What prompt formats need of a vocabulary. Thread-safe.</summary>
internal interface IPromptVocabulary
{
    ControlTexts ControlTexts { get; }

    /// <summary>The segments as one text, with the token every text begins with in front.</summary>
    IReadOnlyList<int> Tokenize(IReadOnlyList<PromptSegment> segments);

    /// <summary>A text as the model would read it raw. Control tokens in it are plain text.</summary>
    IReadOnlyList<int> TokenizePrompt(string text, string continueFrom);

    /// <summary>Plain text that goes on where tokens end.</summary>
    IReadOnlyList<int> TokenizeContinuation(string text);

    /// <summary>The text's token when it is exactly one; null otherwise.</summary>
    int? SingleToken(string text);
}
