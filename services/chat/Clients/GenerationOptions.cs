using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Clients;

/// <summary>How patient chat is with inference and knowledge.</summary>
public sealed class GenerationOptions
{
    public const string SectionName = "Generation";

    /// <summary>Deadline of one reply, waiting included. At the end the reply fails with <c>timeout</c> and keeps its text.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "06:00:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a broken or unavailable engine is tried again, counted from the last sign of life.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan ReconnectWindow { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The same before anything was generated for a caller who waits for a status code (<c>/v1</c>, <c>/api/llm</c>).</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan FirstAnswerWindow { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>First pause between two attempts; doubles up to two seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:00:30")]
    public TimeSpan FirstRetryDelay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Deadline of short calls: search, tokenize, list models.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:05:00")]
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(10);
}

[OptionsValidator]
internal sealed partial class GenerationOptionsValidator : IValidateOptions<GenerationOptions>;
