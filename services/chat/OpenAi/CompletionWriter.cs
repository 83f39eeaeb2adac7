using System.Text.Json.Nodes;
using Fleet.Chat.Clients;
using Fleet.Chat.Runs;
using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.OpenAi;

/// <summary>Writes one reply in the OpenAI API's JSON, whole or in chunks (openai-wire.md §2, §5). One instance per reply.</summary>
internal sealed class CompletionWriter(string id, long created, bool isChat, bool includeUsage)
{
    /// <summary>The end mark that clients wait for.</summary>
    public static readonly StreamFrame DoneFrame = new(null, "[DONE]");

    public string Model { get; set; } = "";

    /// <summary>Every choice begins with its role.</summary>
    public StreamFrame First(int choice) => Chunk(choice, new JsonObject { ["role"] = "assistant", ["content"] = "" }, "", null, null);

    public StreamFrame Delta(GenerationUpdate.Delta delta)
    {
        var written = new JsonObject();
        if (delta.Text.Length > 0 || (delta.Reasoning.Length == 0 && delta.ToolCalls.Count == 0)) written["content"] = delta.Text;
        if (delta.Reasoning.Length > 0) written["reasoning_content"] = delta.Reasoning;
        if (delta.ToolCalls.Count > 0) written["tool_calls"] = new JsonArray([.. delta.ToolCalls.Select(CallDelta)]);
        return Chunk(delta.Choice, written, delta.Text, null, delta.Logprobs.Count > 0 ? Logprobs(delta.Logprobs) : null);
    }

    public StreamFrame Last(GenerationUpdate.Finished finished) => Chunk(finished.Choice, [], "", finished.ReasonText, null);

    /// <summary>After the last chunk, with no choices.</summary>
    public StreamFrame Usage(IReadOnlyCollection<GenerationUpdate.Finished> finished)
    {
        var chunk = Envelope(isStream: true);
        chunk["choices"] = new JsonArray();
        chunk["usage"] = UsageOf(finished);
        return new StreamFrame(null, chunk.ToJsonString(OpenAiJson.Options));
    }

    public JsonObject Whole(IEnumerable<CompletionChoice> choices, bool withLogprobs)
    {
        var body = Envelope(isStream: false);
        body["choices"] = new JsonArray([.. choices.Select((choice, index) => Whole(choice, index, withLogprobs))]);
        body["usage"] = UsageOf([.. choices.Select(choice => choice.Finished!)]);
        return body;
    }

    private JsonObject Whole(CompletionChoice choice, int index, bool withLogprobs)
    {
        var written = new JsonObject { ["index"] = index };
        if (isChat) written["message"] = MessageOf(choice);
        else written["text"] = choice.Text.ToString();
        written["logprobs"] = withLogprobs ? Logprobs(choice.Logprobs) : null;
        written["finish_reason"] = choice.Finished!.ReasonText;
        return written;
    }

    private static JsonObject MessageOf(CompletionChoice choice)
    {
        var message = new JsonObject
        {
            ["role"] = "assistant",
            // A turn that only calls tools has no content.
            ["content"] = choice.Text.Length == 0 && choice.ToolCalls.Count > 0 ? null : choice.Text.ToString(),
            ["refusal"] = null,
        };
        if (choice.Reasoning.Length > 0) message["reasoning_content"] = choice.Reasoning.ToString();
        if (choice.ToolCalls.Count > 0)
        {
            message["tool_calls"] = new JsonArray([.. choice.ToolCalls.Select(call => new JsonObject
            {
                ["id"] = call.Id,
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = call.Arguments.ToString() },
            })]);
        }

        return message;
    }

    private static JsonObject CallDelta(ToolCallDelta delta)
    {
        // Accumulators of clients index by it, and want id and name in the first piece only.
        var written = new JsonObject { ["index"] = delta.Index };
        var function = new JsonObject { ["arguments"] = delta.Arguments };
        if (delta.Id.Length > 0)
        {
            written["id"] = delta.Id;
            written["type"] = "function";
            function["name"] = delta.Name;
        }

        written["function"] = function;
        return written;
    }

    private StreamFrame Chunk(int index, JsonObject delta, string text, string? finishReason, JsonObject? logprobs)
    {
        var chunk = Envelope(isStream: true);
        var choice = new JsonObject { ["index"] = index };
        if (isChat) choice["delta"] = delta;
        else choice["text"] = text;
        choice["logprobs"] = logprobs;
        choice["finish_reason"] = finishReason;
        chunk["choices"] = new JsonArray(choice);
        if (includeUsage) chunk["usage"] = null;
        return new StreamFrame(null, chunk.ToJsonString(OpenAiJson.Options));
    }

    private JsonObject Envelope(bool isStream) => new()
    {
        ["id"] = id,
        ["object"] = isChat ? isStream ? "chat.completion.chunk" : "chat.completion" : "text_completion",
        ["created"] = created,
        ["model"] = Model,
    };

    /// <summary>The choices share their prompt: it counts once.</summary>
    private static JsonObject UsageOf(IReadOnlyCollection<GenerationUpdate.Finished> finished)
    {
        var prompt = finished.Max(choice => choice.PromptTokens);
        var completion = finished.Sum(choice => choice.CompletionTokens);
        return new JsonObject
        {
            ["prompt_tokens"] = prompt,
            ["completion_tokens"] = completion,
            ["total_tokens"] = prompt + completion,
            ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = finished.First().CachedTokens },
            ["completion_tokens_details"] = new JsonObject
            {
                ["reasoning_tokens"] = finished.Sum(choice => choice.ReasoningTokens),
                ["accepted_prediction_tokens"] = finished.Sum(choice => choice.Prediction.Accepted),
                ["rejected_prediction_tokens"] = finished.Sum(choice => choice.Prediction.Drafted - choice.Prediction.Accepted),
            },
        };
    }

    private static JsonObject Logprobs(IReadOnlyList<TokenLogprob> tokens) => new()
    {
        ["content"] = new JsonArray([.. tokens.Select(token =>
        {
            var entry = Logprob(token);
            entry["top_logprobs"] = new JsonArray([.. token.Top.Select(Logprob)]);
            return entry;
        })]),
        ["refusal"] = null,
    };

    private static JsonObject Logprob(TokenLogprob token) => new()
    {
        ["token"] = token.Token,
        // JSON has no infinity; the API marks the impossible so.
        ["logprob"] = float.IsFinite(token.Logprob) ? token.Logprob : -9999f,
        ["bytes"] = new JsonArray([.. token.TokenBytes.Select(value => JsonValue.Create((int)value))]),
    };
}
