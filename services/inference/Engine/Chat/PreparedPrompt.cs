using Fleet.Inference.Engine.Constraints;

namespace Fleet.Inference.Engine.Chat;

/// <summary>What a request becomes for one model: tokens in, rules for the tokens that come out, and how to read them.</summary>
internal sealed record PreparedPrompt
{
    public required IReadOnlyList<int> Tokens { get; init; }

    /// <summary>Null = anything may be said.</summary>
    public GrammarSpec? Grammar { get; init; }

    /// <summary>Stop sequences of the model's format, beside the request's own.</summary>
    public IReadOnlyList<string> Stops { get; init; } = [];

    /// <summary>Control tokens that are part of the format and must reach the parser as text; other control tokens print nothing.</summary>
    public IReadOnlySet<int> VisibleControlTokens { get; init; } = new HashSet<int>();

    /// <summary>Reads this reply's text; one per reply.</summary>
    public required IReplyParser Parser { get; init; }
}

/// <summary>Turns requests into prompts for one model. Thread-safe.</summary>
internal interface IPromptFormat
{
    /// <summary>Throws <see cref="EngineException"/> for what the model's template or the constraint compiler cannot do.</summary>
    PreparedPrompt Prepare(GenerationRequest request);

    /// <summary>Whether tools, reasoning and schemas can be asked for.</summary>
    FormatCapabilities Capabilities { get; }
}

internal sealed record FormatCapabilities(bool Tools, bool Reasoning, bool JsonSchema, bool Grammar);

/// <summary>Reads what a model writes: content, reasoning and tool calls. One reply's; not thread-safe.</summary>
internal interface IReplyParser
{
    /// <summary>What the new text adds; may be empty while it is undecided.</summary>
    ParsedDelta Append(string text);

    /// <summary>What was still held back, when the reply has ended.</summary>
    /// <param name="complete">False when it was cut by a limit: an unfinished call or tag is then given as far as it goes.</param>
    ParsedDelta Finish(bool complete);

    /// <summary>Whether the reply holds a tool call, and so ends with <see cref="FinishReason.ToolCalls"/>.</summary>
    bool HasToolCalls { get; }
}

internal sealed record ParsedDelta(string Content, string Reasoning, IReadOnlyList<ToolCallDelta> ToolCalls)
{
    public static ParsedDelta Empty { get; } = new("", "", []);
}

/// <summary>Everything is content.</summary>
internal sealed class PlainReplyParser : IReplyParser
{
    public bool HasToolCalls => false;

    public ParsedDelta Append(string text) => text.Length == 0 ? ParsedDelta.Empty : new ParsedDelta(text, "", []);

    public ParsedDelta Finish(bool complete) => ParsedDelta.Empty;
}
