using System.ComponentModel.DataAnnotations;

namespace Fleet.Chat.Sessions;

/// <summary>How a conversation is answered. A null means "the platform's default"; in a PATCH it means "as it was".</summary>
public sealed record SessionConfig
{
    /// <summary>Model id; null = the default chat model.</summary>
    [StringLength(200, MinimumLength = 1)]
    [StorableText]
    public string? Model { get; init; }

    [Range(0.0, 2.0)]
    public double? Temperature { get; init; }

    /// <summary>Upper bound of generated tokens; null = until the context is full.</summary>
    [Range(1, 131_072)]
    public int? MaxTokens { get; init; }

    [Range(0.0, 1.0)]
    public double? TopP { get; init; }

    [StringLength(32_768)]
    [StorableText]
    public string? SystemPrompt { get; init; }

    /// <summary>Answer from the person's documents, with citations.</summary>
    public bool? UseKnowledge { get; init; }

    /// <summary>Restricts knowledge to these collections; null or empty = all that the person may read.</summary>
    [MaxLength(64)]
    public IReadOnlyList<Guid>? Collections { get; init; }

    /// <summary>This configuration with every field that <paramref name="change"/> gives replaced.</summary>
    public SessionConfig With(SessionConfig? change) => change is null ? this : new SessionConfig
    {
        Model = change.Model ?? Model,
        Temperature = change.Temperature ?? Temperature,
        MaxTokens = change.MaxTokens ?? MaxTokens,
        TopP = change.TopP ?? TopP,
        SystemPrompt = change.SystemPrompt ?? SystemPrompt,
        UseKnowledge = change.UseKnowledge ?? UseKnowledge,
        Collections = change.Collections ?? Collections,
    };
}
