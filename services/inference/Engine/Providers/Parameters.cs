using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

/// <summary>What becomes of a parameter at a provider.</summary>
internal enum Handling
{
    /// <summary>Sent as it is, under the provider's name for it; clamped where the provider's range is smaller.</summary>
    Sent,

    /// <summary>Sent in the provider's own form.</summary>
    Adapted,

    /// <summary>Done here, on what the provider sends.</summary>
    Here,

    /// <summary>Not sent: it only shapes how words are drawn. Noted in the debug log.</summary>
    Dropped,

    /// <summary>Refused: without it the reply would be another one than was asked for.</summary>
    Refused,
}

/// <param name="Fields">Of <see cref="Handling.Sent"/>: the provider's names, dots for nesting.</param>
/// <param name="Note">For the documentation, and the end of the sentence that refuses.</param>
internal sealed record ParameterRule(Handling Handling, string[] Fields, float Lowest, float Highest, string Note)
{
    public static ParameterRule Sent(string field, float lowest = float.NegativeInfinity, float highest = float.PositiveInfinity) => new(Handling.Sent, [field], lowest, highest, "");

    public static ParameterRule Sent(string[] fields) => new(Handling.Sent, fields, float.NegativeInfinity, float.PositiveInfinity, "");

    public static ParameterRule Adapted(string note) => new(Handling.Adapted, [], 0, 0, note);

    public static ParameterRule Here(string note) => new(Handling.Here, [], 0, 0, note);

    public static ParameterRule Dropped { get; } = new(Handling.Dropped, [], 0, 0, "");

    public static ParameterRule Refused(string note = "") => new(Handling.Refused, [], 0, 0, note);

    public override string ToString() => Handling switch
    {
        Handling.Sent => string.Join(", ", Fields.Select(field => $"`{field}`")) + (float.IsFinite(Highest) ? FormattableString.Invariant($", clamped to {Lowest}–{Highest}") : ""),
        Handling.Dropped => "dropped",
        Handling.Refused => Note.Length > 0 ? $"refused: {Note}" : "refused",
        _ => Note,
    };
}

/// <summary>One thing a request can ask for.</summary>
/// <param name="IsAsked">Whether this request asks for more than the default.</param>
/// <param name="Value">What is sent where a rule says so; null = nothing.</param>
/// <param name="IsSampling">Models with fixed sampling take none of these.</param>
internal sealed record Parameter(string Name, Func<GenerationRequest, bool> IsAsked, Func<GenerationRequest, JsonNode?>? Value = null, bool IsSampling = false)
{
    private static readonly SamplingParameters Default = new();

    /// <summary>Everything there is: every table must have a rule for each.</summary>
    public static IReadOnlyList<Parameter> All { get; } =
    [
        new("messages", request => request.Messages.Count > 0),
        new("max_tokens", request => request.MaxTokens > 0, request => request.MaxTokens > 0 ? request.MaxTokens : null),
        Sampling("temperature", s => s.Temperature != Default.Temperature, s => Round(s.Temperature)),
        Sampling("top_p", s => s.TopP != Default.TopP, s => s.TopP is > 0 and < 1 ? Round(s.TopP) : null),
        Sampling("top_k", s => s.TopK != Default.TopK, s => s.TopK),
        Sampling("min_p", s => s.MinP != Default.MinP, s => Round(s.MinP)),
        Sampling("typical_p", s => s.TypicalP is > 0 and < 1, s => s.TypicalP is > 0 and < 1 ? Round(s.TypicalP) : null),
        Sampling("repetition_penalty", s => s.RepetitionPenalty != 1, s => s.RepetitionPenalty != 1 ? Round(s.RepetitionPenalty) : null),
        Sampling("frequency_penalty", s => s.FrequencyPenalty != 0, s => s.FrequencyPenalty != 0 ? Round(s.FrequencyPenalty) : null),
        Sampling("presence_penalty", s => s.PresencePenalty != 0, s => s.PresencePenalty != 0 ? Round(s.PresencePenalty) : null),
        Sampling("penalty_last_n", s => s.PenaltyLastN != Default.PenaltyLastN, s => s.PenaltyLastN != Default.PenaltyLastN ? s.PenaltyLastN : null),
        Sampling("mirostat", s => s.Mirostat > 0, s => s.Mirostat > 0 ? s.Mirostat : null),
        Sampling("mirostat_tau", s => s.Mirostat > 0 && s.MirostatTau != Default.MirostatTau, s => s.Mirostat > 0 ? Round(s.MirostatTau) : null),
        Sampling("mirostat_eta", s => s.Mirostat > 0 && s.MirostatEta != Default.MirostatEta, s => s.Mirostat > 0 ? Round(s.MirostatEta) : null),
        Sampling("dry", s => s.Dry is not null, _ => null),
        Sampling("xtc", s => s.Xtc is not null, _ => null),

        // Some providers read a signed 32-bit number; the same seed stays the same seed.
        new("seed", request => request.Sampling.Seed is not null, request => request.Sampling.Seed is { } seed ? (int)(seed & int.MaxValue) : null),
        new("logit_bias", request => request.Sampling.LogitBias.Count > 0),
        new("stop", request => request.Stop.Count > 0),
        new("logprobs", request => request.Logprobs),
        new("response_format: json_object", request => request.ResponseFormat.Kind == ResponseFormatKind.JsonObject),
        new("response_format: json_schema", request => request.ResponseFormat.Kind == ResponseFormatKind.JsonSchema),
        new("response_format: grammar", request => request.ResponseFormat.Kind == ResponseFormatKind.Grammar),
        new("tools", request => request.Tools.Count > 0),
        new("tools: strict", request => request.Tools.Any(tool => tool.Strict)),
        new("tool_choice: none", request => request.Tools.Count > 0 && request.ToolChoice.Mode == ToolChoiceMode.None),
        new("tool_choice: required", request => request.Tools.Count > 0 && request.ToolChoice.Mode == ToolChoiceMode.Required),
        new("parallel_tool_calls", request => request.Tools.Count > 0),
        new("reasoning", request => request.Reasoning.Enabled is not null || request.Reasoning.Effort.Length > 0),
        new("continue_from", request => request.ContinueFrom.Length > 0),
        new("prompt", request => request.Prompt.Length > 0),
        new("prompt_tokens", request => request.PromptTokens.Count > 0),
        new("template_arguments", request => request.TemplateArguments.Count > 0),
        new("adapters", request => request.Adapters.Count > 0),
        new("ignore_end", request => request.IgnoreEnd, request => request.IgnoreEnd ? true : null),
        new("bypass_prefix_cache", request => request.BypassPrefixCache, request => request.BypassPrefixCache ? false : null),
    ];

    private static Parameter Sampling(string name, Func<SamplingParameters, bool> isAsked, Func<SamplingParameters, JsonNode?> value) =>
        new(name, request => isAsked(request.Sampling), request => value(request.Sampling), IsSampling: true);

    // 0.7 and not 0.699999988.
    private static JsonValue Round(float value) => JsonValue.Create(decimal.Round((decimal)value, 6));
}
