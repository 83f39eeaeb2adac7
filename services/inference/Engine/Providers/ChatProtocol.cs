using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

/// <summary>A request as the provider will get it, and what is left to do here.</summary>
/// <param name="Stops">Stop sequences the provider does not take: looked for here.</param>
/// <param name="Dropped">Parameters that were asked for and not sent.</param>
internal sealed record AdaptedRequest(JsonObject Body, IReadOnlyList<string> Stops, IReadOnlyList<string> Dropped);

/// <summary>How one kind of provider is talked to, for one model. Immutable, thread-safe.</summary>
internal abstract class ChatProtocol(RemoteModelOptions model)
{
    protected RemoteModelOptions Model => model;

    /// <summary>What becomes of each of <see cref="Parameter.All"/>, by its name.</summary>
    public abstract IReadOnlyDictionary<string, ParameterRule> Rules { get; }

    public abstract string Path { get; }

    public abstract FrameFormat Format { get; }

    /// <summary>Whether a reply can go on from words it is given.</summary>
    protected abstract bool CanContinue { get; }

    /// <summary>Stop sequences the provider takes.</summary>
    protected abstract int MaxStops { get; }

    public abstract IReplyReader CreateReader(GenerationRequest request, UpstreamClient upstream);

    /// <exception cref="EngineException">The request asks for something that would be lost.</exception>
    public AdaptedRequest Adapt(GenerationRequest request)
    {
        var body = new JsonObject();
        var dropped = new List<string>();
        foreach (var parameter in Parameter.All)
        {
            var rule = Rules[parameter.Name];
            var handling = parameter.IsSampling && model.FixedSampling ? Handling.Dropped : rule.Handling;
            if (handling == Handling.Sent)
                Send(body, rule, parameter.Value!(request));
            else if (handling == Handling.Refused && parameter.IsAsked(request))
                throw Refused(parameter.Name, rule.Note);
            else if (handling == Handling.Dropped && parameter.IsAsked(request))
                dropped.Add(parameter.Name);
        }

        if (request.ContinueFrom.Length > 0 && !(model.Continues ?? CanContinue))
            throw Refused("continue_from", "the model cannot go on from given words");

        var (sent, here) = DivideStops(request.Stop);
        Write(body, request, sent);
        return new AdaptedRequest(body, here, dropped);
    }

    /// <summary>Everything that is not simply sent.</summary>
    /// <param name="stops">The stop sequences the provider is to look for.</param>
    protected abstract void Write(JsonObject body, GenerationRequest request, IReadOnlyList<string> stops);

    /// <summary>Whether the provider takes this stop sequence at all.</summary>
    protected virtual bool TakesStop(string stop) => true;

    protected static EngineException Refused(string parameter, string why = "") =>
        new(EngineError.NotSupported, why.Length > 0 ? $"{parameter}: not possible with this model; {why}." : $"{parameter}: not possible with this model.") { Upstream = true };

    /// <summary>A schema or a call's arguments, both checked nowhere before. Empty = an empty object.</summary>
    protected static JsonNode ParseObject(string text, string field)
    {
        try
        {
            if ((text.Length == 0 ? new JsonObject() : JsonNode.Parse(text)) is JsonObject parsed)
                return parsed;
        }
        catch (System.Text.Json.JsonException)
        {
            // Below.
        }

        throw new EngineException(EngineError.InvalidRequest, $"{field}: not a JSON object");
    }

    /// <summary>The schema of a tool's arguments; providers want one even where there are none.</summary>
    protected static JsonNode ParseSchema(Tool tool) =>
        tool.Parameters.Length > 0 ? ParseObject(tool.Parameters, "tools") : new JsonObject { ["type"] = "object", ["properties"] = new JsonObject() };

    /// <summary>The effort asked for, "none" when reasoning is off; null = the model's own way.</summary>
    protected static string? EffortOf(GenerationRequest request) =>
        request.Reasoning.Enabled == false ? "none" : request.Reasoning.Effort.Length > 0 ? request.Reasoning.Effort : null;

    /// <summary>Tokens to think with, for providers that count instead of naming an effort.</summary>
    protected static int BudgetOf(string effort) => effort switch
    {
        "none" => 0,
        "minimal" => 1024,
        "low" => 2048,
        "high" => 16_384,
        "xhigh" => 24_576,
        "max" => 32_768,
        _ => 8192,
    };

    // A sequence that is not sent is looked for here, so all of them hold.
    private (IReadOnlyList<string> Sent, IReadOnlyList<string> Here) DivideStops(IReadOnlyList<string> stops)
    {
        var sent = stops.Where(TakesStop).Take(MaxStops).ToList();
        return (sent, [.. stops.Where(stop => !sent.Contains(stop))]);
    }

    private static void Send(JsonObject body, ParameterRule rule, JsonNode? value)
    {
        if (value is null)
            return;

        if (float.IsFinite(rule.Highest) && value.AsValue().TryGetValue<decimal>(out var number))
            value = JsonValue.Create(Math.Clamp(number, (decimal)rule.Lowest, (decimal)rule.Highest));
        foreach (var field in rule.Fields)
            Put(body, field, value.DeepClone());
    }

    protected static void Put(JsonObject body, string field, JsonNode value)
    {
        var at = body;
        var names = field.Split('.');
        foreach (var name in names[..^1])
        {
            if (at[name] is not JsonObject next)
                at[name] = next = [];
            at = next;
        }

        at[names[^1]] = value;
    }
}

/// <summary>Reads one reply's stream. Not thread-safe.</summary>
internal interface IReplyReader
{
    /// <summary>What a message of the stream adds to the reply; null = nothing.</summary>
    /// <exception cref="EngineException">The provider told of a failure.</exception>
    GenerationDelta? Read(Frame frame);

    /// <summary>The protocol's end has been seen: what follows is not read.</summary>
    bool Ended { get; }

    /// <summary>What was told so far; complete once the stream has ended.</summary>
    RemoteEnding Ending { get; }
}

/// <summary>What a provider says about its reply.</summary>
internal sealed record RemoteEnding
{
    /// <summary>Null = it never said why it ended, and so did not end.</summary>
    public FinishReason? Reason { get; init; }

    public int? PromptTokens { get; init; }

    public int? CachedTokens { get; init; }

    public int? CompletionTokens { get; init; }

    public int? ReasoningTokens { get; init; }

    public string StopSequence { get; init; } = "";
}
