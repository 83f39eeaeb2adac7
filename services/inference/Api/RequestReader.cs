using System.Text.Json;
using System.Text.RegularExpressions;
using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Engine;
using Google.Protobuf.Collections;
using GenerateRequest = Fleet.Contracts.Inference.V1.GenerateRequest;

namespace Fleet.Inference.Api;

/// <summary>Checks what callers send and turns it into the engine's types; what passes here satisfies every range the engine relies on.</summary>
internal static partial class RequestReader
{
    private const int MaxChoices = 16;
    private const int MaxTools = 128;
    private const int MaxToolSchema = 256 * 1024;
    private const int MaxFormat = 256 * 1024;
    private const int MaxAdapters = 8;
    private const int MaxTemplateArguments = 32;
    private const int MaxStops = 16;
    private const int MaxStopLength = 256;
    private const int MaxPassages = 256;
    private const int MaxTextsToEmbed = 2048;
    private const int MaxDocumentsToRerank = 1000;
    private const int MaxDryBreakers = 32;

    /// <summary>The replies asked for: one request each, alike but for id and seed.</summary>
    public static IReadOnlyList<GenerationRequest> ReadChoices(GenerateRequest request, DateTime deadline)
    {
        Check(request.Choices is >= 0 and <= MaxChoices, "choices", $"1 to {MaxChoices}");
        var first = Read(request, deadline);
        return request.Choices <= 1
            ? [first]
            : [.. Enumerable.Range(0, request.Choices).Select(choice => first with
            {
                RequestId = $"{first.RequestId}/{choice}",
                Sampling = first.Sampling with { Seed = first.Sampling.Seed + (uint)choice },
            })];
    }

    /// <param name="deadline">UTC; the end of time when there is none.</param>
    public static GenerationRequest Read(GenerateRequest request, DateTime deadline)
    {
        var sources = (request.Messages.Count > 0 ? 1 : 0) + (request.Prompt.Length > 0 ? 1 : 0) + (request.PromptTokens.Count > 0 ? 1 : 0);
        Check(sources == 1, "messages", "exactly one of messages, prompt and prompt_tokens is needed");
        Check(request.MaxTokens >= 0, "max_tokens", "must not be negative");
        Check(request.Stop.Count <= MaxStops && request.Stop.All(stop => stop.Length is > 0 and <= MaxStopLength), "stop", "at most 16 sequences of 1 to 256 characters");
        Check(request.TopLogprobs is >= 0 and <= 20, "top_logprobs", "must be between 0 and 20");
        Check(request.Passages.Count <= MaxPassages, "passages", $"at most {MaxPassages}");

        return new GenerationRequest
        {
            RequestId = request.RequestId,
            Requester = Read(request.Caller),
            Deadline = deadline == DateTime.MaxValue ? null : new DateTimeOffset(DateTime.SpecifyKind(deadline, DateTimeKind.Utc)),
            Messages = Read(request.Messages),
            Prompt = request.Prompt,
            PromptTokens = [.. request.PromptTokens],
            Tools = Read(request.Tools),
            ToolChoice = Read(request.ToolChoice, request.Tools),
            ParallelToolCalls = request.ParallelToolCalls,
            ResponseFormat = Read(request.ResponseFormat),
            Reasoning = Read(request.Reasoning),
            TemplateArguments = ReadTemplateArguments(request.TemplateArguments),
            Adapters = Read(request.Adapters),
            BypassPrefixCache = request.BypassPrefixCache,
            IgnoreEnd = request.IgnoreEnd,
            Passages = [.. request.Passages.Select((passage, index) =>
                new Engine.Passage(passage.Number > 0 ? passage.Number : index + 1, passage.Title, passage.Text, double.IsFinite(passage.Score) ? passage.Score : 0))],
            MaxTokens = request.MaxTokens,
            Sampling = Read(request.Sampling ?? new Contracts.Inference.V1.SamplingParameters()),
            Stop = [.. request.Stop],
            ContinueFrom = request.ContinueFrom,
            Logprobs = request.Logprobs || request.TopLogprobs > 0,
            TopLogprobs = request.TopLogprobs,
            Language = request.Language,
        };
    }

    public static IReadOnlyList<Engine.ChatMessage> Read(IEnumerable<Contracts.Inference.V1.ChatMessage> messages) =>
        [.. messages.Select(message => new Engine.ChatMessage(Read(message.Role), message.Content)
        {
            ToolCalls = [.. message.ToolCalls.Select(call => new Engine.ToolCall(call.Id, call.Name, call.Arguments))],
            ToolCallId = message.ToolCallId,
            Name = message.Name,
            Reasoning = message.Reasoning,
        })];

    public static IReadOnlyList<Engine.Tool> Read(IReadOnlyCollection<Contracts.Inference.V1.Tool> tools)
    {
        Check(tools.Count <= MaxTools, "tools", $"at most {MaxTools}");
        Check(tools.All(tool => ToolName().IsMatch(tool.Name)), "tools", "a name is 1 to 64 letters, digits, _ or -");
        Check(tools.DistinctBy(tool => tool.Name).Count() == tools.Count, "tools", "two have the same name");
        Check(tools.All(tool => tool.Parameters.Length <= MaxToolSchema), "tools", $"a schema has at most {MaxToolSchema} characters");
        return [.. tools.Select(tool => new Engine.Tool(tool.Name, tool.Description, tool.Parameters, tool.Strict))];
    }

    public static IReadOnlyList<string> Read(RerankRequest request)
    {
        Check(request.Query.Length > 0, "query", "must not be empty");
        Check(request.Documents.Count is >= 1 and <= MaxDocumentsToRerank, "documents", $"1 to {MaxDocumentsToRerank} documents");
        Check(request.Documents.All(document => document.Length > 0), "documents", "none may be empty");
        return request.Documents;
    }

    public static IReadOnlyList<string> Read(EmbedRequest request)
    {
        Check(request.Texts.Count is >= 1 and <= MaxTextsToEmbed, "texts", $"1 to {MaxTextsToEmbed} texts");
        Check(request.Texts.All(text => text.Length > 0), "texts", "none may be empty");
        return request.Texts;
    }

    private static Engine.SamplingParameters Read(Contracts.Inference.V1.SamplingParameters sent)
    {
        var defaults = new Engine.SamplingParameters();
        return new Engine.SamplingParameters
        {
            Temperature = InRange("temperature", sent.HasTemperature ? sent.Temperature : defaults.Temperature, 0, 2),
            TopP = InRange("top_p", sent.HasTopP ? sent.TopP : defaults.TopP, 0, 1),
            TopK = (int)InRange("top_k", sent.HasTopK ? sent.TopK : defaults.TopK, 0, 1000),
            MinP = InRange("min_p", sent.HasMinP ? sent.MinP : defaults.MinP, 0, 1),
            Seed = sent.HasSeed ? sent.Seed : null,
            RepetitionPenalty = InRange("repetition_penalty", sent.HasRepetitionPenalty ? sent.RepetitionPenalty : 1, 0.1f, 10),
            FrequencyPenalty = InRange("frequency_penalty", sent.FrequencyPenalty, -2, 2),
            PresencePenalty = InRange("presence_penalty", sent.PresencePenalty, -2, 2),
            LogitBias = sent.LogitBias.ToDictionary(bias => bias.Key, bias => InRange("logit_bias", bias.Value, -100, 100)),
            TypicalP = InRange("typical_p", sent.TypicalP, 0, 1),
            PenaltyLastN = (int)InRange("penalty_last_n", sent.HasPenaltyLastN ? sent.PenaltyLastN : defaults.PenaltyLastN, -1, 1_000_000),
            Mirostat = (int)InRange("mirostat", sent.Mirostat, 0, 2),
            MirostatTau = InRange("mirostat_tau", sent.HasMirostatTau ? sent.MirostatTau : defaults.MirostatTau, 0, 100),
            MirostatEta = InRange("mirostat_eta", sent.HasMirostatEta ? sent.MirostatEta : defaults.MirostatEta, 0, 1),
            Dry = ReadDry(sent),
            Xtc = ReadXtc(sent),
        };
    }

    private static DryParameters? ReadDry(Contracts.Inference.V1.SamplingParameters sent)
    {
        Check(sent.DrySequenceBreakers.Count <= MaxDryBreakers && sent.DrySequenceBreakers.All(text => text.Length is > 0 and <= 64),
            "sampling.dry_sequence_breakers", $"at most {MaxDryBreakers} of 1 to 64 characters");
        var dry = new DryParameters(
            InRange("dry_multiplier", sent.DryMultiplier, 0, 100),
            InRange("dry_base", sent.HasDryBase ? sent.DryBase : 1.75f, 1, 10),
            (int)InRange("dry_allowed_length", sent.HasDryAllowedLength ? sent.DryAllowedLength : 2, 0, 10_000),
            (int)InRange("dry_penalty_last_n", sent.HasDryPenaltyLastN ? sent.DryPenaltyLastN : -1, -1, 1_000_000),
            sent.DrySequenceBreakers.Count > 0 ? [.. sent.DrySequenceBreakers] : ["\n", ":", "\"", "*"]);
        return dry is { Multiplier: 0 } or { LastN: 0 } ? null : dry;
    }

    private static XtcParameters? ReadXtc(Contracts.Inference.V1.SamplingParameters sent)
    {
        var xtc = new XtcParameters(
            InRange("xtc_probability", sent.XtcProbability, 0, 1), InRange("xtc_threshold", sent.HasXtcThreshold ? sent.XtcThreshold : 0.1f, 0, 1));
        return xtc is { Probability: > 0, Threshold: <= 0.5f } ? xtc : null;
    }

    /// <summary>The embeddings lane is bulk work too: a query that somebody waits for comes in the interactive one.</summary>
    public static Requester Read(Caller? caller) => caller is null
        ? Requester.Unknown
        : new Requester(caller.TenantId, caller.UserId, caller.Lane is Contracts.Inference.V1.Lane.Batch or Contracts.Inference.V1.Lane.Embeddings ? Engine.Lane.Batch : Engine.Lane.Interactive);

    private static Engine.ToolChoice Read(Contracts.Inference.V1.ToolChoice? choice, RepeatedField<Contracts.Inference.V1.Tool> tools)
    {
        if (choice is null)
            return Engine.ToolChoice.Auto;

        var mode = choice.Mode switch
        {
            Contracts.Inference.V1.ToolChoiceMode.None => Engine.ToolChoiceMode.None,
            Contracts.Inference.V1.ToolChoiceMode.Required => Engine.ToolChoiceMode.Required,
            _ => Engine.ToolChoiceMode.Auto,
        };
        Check(mode != Engine.ToolChoiceMode.Required || tools.Count > 0, "tool_choice", "a call is required but there are no tools");
        Check(choice.Name.Length == 0 || (mode == Engine.ToolChoiceMode.Required && tools.Any(tool => tool.Name == choice.Name)), "tool_choice.name", "must be one of the tools, with mode required");
        return new Engine.ToolChoice(mode, choice.Name);
    }

    private static Engine.ResponseFormat Read(Contracts.Inference.V1.ResponseFormat? format)
    {
        var read = format?.FormatCase switch
        {
            Contracts.Inference.V1.ResponseFormat.FormatOneofCase.JsonObject when format.JsonObject => new Engine.ResponseFormat(ResponseFormatKind.JsonObject),
            Contracts.Inference.V1.ResponseFormat.FormatOneofCase.JsonSchema => new Engine.ResponseFormat(ResponseFormatKind.JsonSchema, format.JsonSchema),
            Contracts.Inference.V1.ResponseFormat.FormatOneofCase.Grammar => new Engine.ResponseFormat(ResponseFormatKind.Grammar, format.Grammar),
            _ => Engine.ResponseFormat.Text,
        };
        var needsDefinition = read.Kind is ResponseFormatKind.JsonSchema or ResponseFormatKind.Grammar;
        Check(!needsDefinition || read.Definition.Length is > 0 and <= MaxFormat, "response_format", $"the definition has 1 to {MaxFormat} characters");
        return read;
    }

    private static ReasoningOptions Read(Reasoning? reasoning)
    {
        if (reasoning is null)
            return ReasoningOptions.Default;

        Check(reasoning.Effort is "" or "none" or "minimal" or "low" or "medium" or "high" or "xhigh" or "max", "reasoning.effort", "none, minimal, low, medium, high, xhigh or max");
        return new ReasoningOptions(reasoning.HasEnabled ? reasoning.Enabled : null, reasoning.Effort);
    }

    private static Dictionary<string, string> ReadTemplateArguments(MapField<string, string> arguments)
    {
        Check(arguments.Count <= MaxTemplateArguments, "template_arguments", $"at most {MaxTemplateArguments}");
        foreach (var (name, value) in arguments)
            Check(ArgumentName().IsMatch(name) && IsJson(value), "template_arguments", "a name is a variable's name, a value is JSON");
        return new Dictionary<string, string>(arguments, StringComparer.Ordinal);
    }

    private static AdapterChoice[] Read(RepeatedField<Adapter> adapters)
    {
        Check(adapters.Count <= MaxAdapters, "adapters", $"at most {MaxAdapters}");
        Check(adapters.All(adapter => adapter.Id.Length > 0 && adapter.Scale is >= -10 and <= 10), "adapters", "an id, and a scale between -10 and 10");
        Check(adapters.DistinctBy(adapter => adapter.Id).Count() == adapters.Count, "adapters", "one is named twice");
        return [.. adapters.Select(adapter => new AdapterChoice(adapter.Id, adapter.Scale)).OrderBy(adapter => adapter.Id, StringComparer.Ordinal)];
    }

    private static bool IsJson(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    [GeneratedRegex("^[A-Za-z0-9_-]{1,64}$")]
    private static partial Regex ToolName();

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
    private static partial Regex ArgumentName();

    private static ChatRole Read(Role role) => role switch
    {
        Role.System => ChatRole.System,
        Role.User => ChatRole.User,
        Role.Assistant => ChatRole.Assistant,
        Role.Tool => ChatRole.Tool,
        _ => throw new EngineException(EngineError.InvalidRequest, "messages: every message needs a role"),
    };

    // NaN fails both comparisons, so it is refused like any other value out of range.
    private static float InRange(string field, float value, float lowest, float highest)
    {
        Check(value >= lowest && value <= highest, $"sampling.{field}", $"must be between {lowest} and {highest}");
        return value;
    }

    private static void Check(bool valid, string field, string rule)
    {
        if (!valid)
            throw new EngineException(EngineError.InvalidRequest, $"{field}: {rule}");
    }
}
