namespace Fleet.Inference.Engine;

internal enum ChatRole
{
    System,
    User,
    Assistant,
    Tool,
}

internal sealed record ChatMessage(ChatRole Role, string Content)
{
    public IReadOnlyList<ToolCall> ToolCalls { get; init; } = [];

    /// <summary>Of a tool's message: the call it answers.</summary>
    public string ToolCallId { get; init; } = "";

    /// <summary>Of a tool's message: the tool's name.</summary>
    public string Name { get; init; } = "";

    /// <summary>The assistant's reasoning before the content.</summary>
    public string Reasoning { get; init; } = "";
}

/// <param name="Arguments">A JSON object as the model wrote it.</param>
internal sealed record ToolCall(string Id, string Name, string Arguments);

/// <param name="Parameters">JSON Schema of the arguments object; empty = no arguments.</param>
/// <param name="Strict">Arguments are constrained to the schema.</param>
internal sealed record Tool(string Name, string Description, string Parameters, bool Strict);

internal enum ToolChoiceMode
{
    Auto,
    None,
    Required,
}

/// <param name="Name">With <see cref="ToolChoiceMode.Required"/>: this tool and no other; empty = any.</param>
internal sealed record ToolChoice(ToolChoiceMode Mode, string Name = "")
{
    public static ToolChoice Auto { get; } = new(ToolChoiceMode.Auto);
}

internal enum ResponseFormatKind
{
    Text,

    /// <summary>Any JSON object.</summary>
    JsonObject,
    JsonSchema,

    /// <summary>GBNF with a rule named root.</summary>
    Grammar,
}

/// <param name="Definition">The schema or the grammar; empty otherwise.</param>
internal sealed record ResponseFormat(ResponseFormatKind Kind, string Definition = "")
{
    public static ResponseFormat Text { get; } = new(ResponseFormatKind.Text);
}

/// <param name="Enabled">Null = as the template decides.</param>
/// <param name="Effort">none to max, for templates and providers that know it; empty = unset.</param>
internal sealed record ReasoningOptions(bool? Enabled = null, string Effort = "")
{
    public static ReasoningOptions Default { get; } = new();
}

/// <summary>A LoRA adapter at a scale.</summary>
internal readonly record struct AdapterChoice(string Id, float Scale);

/// <summary>Which lane of the scheduler a request belongs to.</summary>
internal enum Lane
{
    /// <summary>Somebody is watching.</summary>
    Interactive,

    /// <summary>Runs on what interactive requests leave, but never starves.</summary>
    Batch,
}

/// <summary>Who the work is for: fairness and the prefix cache's border between tenants, never authorisation.</summary>
internal sealed record Requester(string TenantId, string UserId, Lane Lane)
{
    public static Requester Unknown { get; } = new("", "", Lane.Interactive);
}

/// <summary>A retrieved passage; <paramref name="Number"/> is what the reply cites.</summary>
internal sealed record Passage(int Number, string Title, string Text, double Score);

/// <summary>One reply to generate. Checked at the border: engines may rely on every range stated here.</summary>
internal sealed record GenerationRequest
{
    public required string RequestId { get; init; }

    public Requester Requester { get; init; } = Requester.Unknown;

    /// <summary>After this the reply is worthless; null = never.</summary>
    public DateTimeOffset? Deadline { get; init; }

    public IReadOnlyList<ChatMessage> Messages { get; init; } = [];

    /// <summary>Used without a chat template when not empty; then <see cref="Messages"/> is empty.</summary>
    public string Prompt { get; init; } = "";

    /// <summary>The prompt as the model's own token ids, used when not empty; messages and prompt are then empty. Ids are checked by the engine.</summary>
    public IReadOnlyList<int> PromptTokens { get; init; } = [];

    public IReadOnlyList<Passage> Passages { get; init; } = [];

    public IReadOnlyList<Tool> Tools { get; init; } = [];

    public ToolChoice ToolChoice { get; init; } = ToolChoice.Auto;

    /// <summary>False: one call a turn at most.</summary>
    public bool ParallelToolCalls { get; init; }

    public ResponseFormat ResponseFormat { get; init; } = ResponseFormat.Text;

    public ReasoningOptions Reasoning { get; init; } = ReasoningOptions.Default;

    /// <summary>Further variables of the chat template: name to JSON value.</summary>
    public IReadOnlyDictionary<string, string> TemplateArguments { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<AdapterChoice> Adapters { get; init; } = [];

    /// <summary>Computes everything anew and keeps nothing for others.</summary>
    public bool BypassPrefixCache { get; init; }

    /// <summary>Goes on past end-of-generation tokens, to <see cref="MaxTokens"/>.</summary>
    public bool IgnoreEnd { get; init; }

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

    /// <summary>Recent tokens the three penalties look at; 0 = off, -1 = the whole context.</summary>
    public int PenaltyLastN { get; init; } = 64;

    /// <summary>0 or 1 = off.</summary>
    public float TypicalP { get; init; }

    /// <summary>0 = off, 1 or 2 = Mirostat's version; replaces the truncating parameters.</summary>
    public int Mirostat { get; init; }

    /// <summary>Target surprise in bits, as in llama.cpp.</summary>
    public float MirostatTau { get; init; } = 5f;

    /// <summary>Learning rate.</summary>
    public float MirostatEta { get; init; } = 0.1f;

    public DryParameters? Dry { get; init; }

    public XtcParameters? Xtc { get; init; }

    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();
}

/// <summary>"Don't repeat yourself": a token that would continue an earlier repetition of length n costs multiplier * base^(n - allowed).</summary>
/// <param name="LastN">Tokens looked at; -1 = the whole context.</param>
/// <param name="Breakers">Texts a repetition does not cross.</param>
internal sealed record DryParameters(float Multiplier, float Base, int AllowedLength, int LastN, IReadOnlyList<string> Breakers);

/// <summary>"Exclude top choices": with <paramref name="Probability"/>, all candidates at least <paramref name="Threshold"/> likely but the last are removed.</summary>
internal sealed record XtcParameters(float Probability, float Threshold);
