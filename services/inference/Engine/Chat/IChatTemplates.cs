namespace Fleet.Inference.Engine.Chat;

/// <summary>A model's chat templates as llama.cpp's chat library runs them. Thread-safe.</summary>
internal interface IChatTemplates : IDisposable
{
    ChatTemplateDescription Description { get; }

    /// <param name="request">JSON as <see cref="ChatTemplateRequest"/> writes it.</param>
    /// <param name="withReader">Whether the reply will be read; a rendering only looked at needs no reader.</param>
    /// <exception cref="Native.LlamaException">The template or the converter refuses; the message is theirs.</exception>
    RenderedChat Render(string request, bool withReader);
}

/// <param name="Capabilities">llama.cpp's own names: tools, tool_calls, system_role, …</param>
/// <param name="Thinking">The family can reason apart from its answer.</param>
/// <param name="Source">The Jinja text.</param>
internal sealed record ChatTemplateDescription(IReadOnlySet<string> Capabilities, bool Thinking, string Source)
{
    public bool Tools => Capabilities.Contains("supports_tools") || Capabilities.Contains("supports_tool_calls");
}

/// <summary>What a template made of a request.</summary>
internal sealed record RenderedChat
{
    public required string Prompt { get; init; }

    /// <summary>The end of <see cref="Prompt"/> that opens the assistant's turn.</summary>
    public string GenerationPrompt { get; init; } = "";

    /// <summary>GBNF; empty = the reply is free.</summary>
    public string Grammar { get; init; } = "";

    public bool GrammarLazy { get; init; }

    public IReadOnlyList<GrammarTrigger> Triggers { get; init; } = [];

    /// <summary>Control tokens' texts the reader must see.</summary>
    public IReadOnlyList<string> PreservedTokens { get; init; } = [];

    public IReadOnlyList<string> Stops { get; init; } = [];

    /// <summary>Texts at which a stretch of free text may end.</summary>
    public IReadOnlyList<string> Delimiters { get; init; } = [];

    /// <summary>Null when it was not asked for.</summary>
    public IReplyReader? Reader { get; init; }
}

internal enum GrammarTriggerKind
{
    Token,

    /// <summary>A text, literally.</summary>
    Word,

    /// <summary>A regular expression, found anywhere.</summary>
    Pattern,

    /// <summary>A regular expression for the whole text.</summary>
    PatternFull,
}

internal readonly record struct GrammarTrigger(GrammarTriggerKind Kind, string Value, int Token);

/// <summary>Reads one reply's text from its start, again and again as it grows. One thread at a time.</summary>
internal interface IReplyReader : IDisposable
{
    /// <param name="partial">More may follow: what is undecided is left out.</param>
    /// <returns>Null when the text is not of the format.</returns>
    ReadReply? Read(ReadOnlySpan<byte> reply, bool partial);
}

internal sealed record ReadReply(string Content, string Reasoning, IReadOnlyList<ToolCall> ToolCalls);
