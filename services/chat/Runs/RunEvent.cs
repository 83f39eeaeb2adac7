using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Fleet.Chat.Sessions;

namespace Fleet.Chat.Runs;

/// <summary>One entry of a run's log. <paramref name="Seq"/> starts at 1 and is dense; <paramref name="Json"/> carries it too.</summary>
/// <param name="Type">run, token, citation, notice, done or error; the last two end the log.</param>
internal sealed record RunEvent(long Seq, string Type, string Json)
{
    public const string Done = "done";
    public const string Error = "error";
    public const string Token = "token";

    private static readonly JsonSerializerOptions Options = CreateOptions();

    public bool IsLast => Type is Done or Error;

    public static RunEvent Started(long seq, Guid runId, Guid messageId, Guid userMessageId) =>
        new(seq, "run", JsonSerializer.Serialize(new { seq, runId, messageId, userMessageId }, Options));

    public static RunEvent ForToken(long seq, string text) => new(seq, Token, JsonSerializer.Serialize(new { seq, text }, Options));

    public static RunEvent ForCitation(long seq, Citation citation) => new(seq, "citation", JsonSerializer.Serialize(new
    {
        seq,
        citation.Number,
        citation.DocumentId,
        citation.ChunkId,
        citation.CollectionId,
        citation.Title,
        citation.Page,
        citation.Start,
        citation.End,
        citation.Text,
        citation.Score,
    }, Options));

    /// <param name="replacement">The whole text so far, where the reader may hold another one.</param>
    public static RunEvent ForNotice(long seq, Notice notice, string? replacement = null) => new(seq, "notice",
        JsonSerializer.Serialize(new { seq, notice.Code, notice.Text, notice.Count, Content = replacement }, Options));

    public static RunEvent Completed(long seq, MessageResponse message) =>
        new(seq, Done, JsonSerializer.Serialize(new { seq, message }, Options));

    public static RunEvent Failed(long seq, MessageError error, MessageResponse message) => new(seq, Error,
        JsonSerializer.Serialize(new { seq, error.Type, error.Title, error.RetryAfterMs, message }, Options));

    /// <summary>The text of a token event.</summary>
    public string ReadText()
    {
        using var document = JsonDocument.Parse(Json);
        return document.RootElement.GetProperty("text").GetString() ?? "";
    }

    // Korean and every other script goes out as itself, not as \u escapes: three bytes instead of six, and readable in a log.
    private static JsonSerializerOptions CreateOptions() => new(JsonSerializerDefaults.Web)
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };
}
