using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Engine;
using GenerateRequest = Fleet.Contracts.Inference.V1.GenerateRequest;

namespace Fleet.Inference.Api;

/// <summary>Checks what callers send and turns it into the engine's types; what passes here satisfies every range the engine relies on.</summary>
internal static class RequestReader
{
    private const int MaxStops = 16;
    private const int MaxStopLength = 256;
    private const int MaxPassages = 256;
    private const int MaxTextsToEmbed = 2048;

    public static GenerationRequest Read(GenerateRequest request)
    {
        Check(request.Messages.Count > 0 != request.Prompt.Length > 0, "messages", "exactly one of messages and prompt is needed");
        Check(request.MaxTokens >= 0, "max_tokens", "must not be negative");
        Check(request.Stop.Count <= MaxStops && request.Stop.All(stop => stop.Length is > 0 and <= MaxStopLength), "stop", "at most 16 sequences of 1 to 256 characters");
        Check(request.TopLogprobs is >= 0 and <= 20, "top_logprobs", "must be between 0 and 20");
        Check(request.Passages.Count <= MaxPassages, "passages", $"at most {MaxPassages}");

        return new GenerationRequest
        {
            RequestId = request.RequestId,
            Messages = Read(request.Messages),
            Prompt = request.Prompt,
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
        [.. messages.Select(message => new Engine.ChatMessage(Read(message.Role), message.Content))];

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
        };
    }

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
