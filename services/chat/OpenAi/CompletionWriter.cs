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

    public StreamFrame First() => Chunk(new JsonObject { ["role"] = "assistant", ["content"] = "" }, "", null, null);

    public StreamFrame Delta(GenerationUpdate.Delta delta) =>
        Chunk(new JsonObject { ["content"] = delta.Text }, delta.Text, null, delta.Logprobs.Count > 0 ? Logprobs(delta.Logprobs) : null);

    public StreamFrame Last(GenerationUpdate.Finished finished) => Chunk([], "", ReasonOf(finished), null);

    /// <summary>After the last chunk, with no choices.</summary>
    public StreamFrame Usage(GenerationUpdate.Finished finished)
    {
        var chunk = Envelope(isStream: true);
        chunk["choices"] = new JsonArray();
        chunk["usage"] = UsageOf(finished);
        return new StreamFrame(null, chunk.ToJsonString(OpenAiJson.Options));
    }

    public JsonObject Whole(string text, IReadOnlyList<TokenLogprob>? logprobs, GenerationUpdate.Finished finished)
    {
        var body = Envelope(isStream: false);
        var choice = new JsonObject { ["index"] = 0 };
        if (isChat) choice["message"] = new JsonObject { ["role"] = "assistant", ["content"] = text, ["refusal"] = null };
        else choice["text"] = text;
        choice["logprobs"] = logprobs is null ? null : Logprobs(logprobs);
        choice["finish_reason"] = ReasonOf(finished);
        body["choices"] = new JsonArray(choice);
        body["usage"] = UsageOf(finished);
        return body;
    }

    private StreamFrame Chunk(JsonObject delta, string text, string? finishReason, JsonObject? logprobs)
    {
        var chunk = Envelope(isStream: true);
        var choice = new JsonObject { ["index"] = 0 };
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

    private static string ReasonOf(GenerationUpdate.Finished finished) => finished.Reason == FinishReason.Length ? "length" : "stop";

    private static JsonObject UsageOf(GenerationUpdate.Finished finished) => new()
    {
        ["prompt_tokens"] = finished.PromptTokens,
        ["completion_tokens"] = finished.CompletionTokens,
        ["total_tokens"] = finished.PromptTokens + finished.CompletionTokens,
        ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = finished.CachedTokens },
        ["completion_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
    };

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
