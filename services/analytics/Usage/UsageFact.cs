namespace Fleet.Analytics.Usage;

/// <summary>What one run cost, whatever its ending.</summary>
internal sealed record UsageFact(
    Guid RunId,
    Guid UserId,
    string Model,
    DateTimeOffset OccurredAt,
    bool Failed,
    string Ending,
    string Surface,
    int PromptTokens,
    int CachedTokens,
    int CompletionTokens,
    int Citations,
    TimeSpan Duration,
    TimeSpan? TimeToFirstToken);
