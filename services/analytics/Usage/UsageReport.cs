namespace Fleet.Analytics.Usage;

/// <summary>Sums over a range. Averages are null where nothing was measured.</summary>
public sealed record UsageTotals(
    long Requests,
    long Failed,
    long PromptTokens,
    long CachedTokens,
    long CompletionTokens,
    double? AverageDurationMs,
    double? AverageTimeToFirstTokenMs);

/// <param name="Model">The model that answered.</param>
/// <param name="Usage">Its share.</param>
public sealed record ModelUsage(string Model, UsageTotals Usage);

/// <param name="Day">A UTC day; days without use are left out.</param>
/// <param name="Usage">That day's share.</param>
public sealed record DayUsage(DateOnly Day, UsageTotals Usage);

public sealed record FeedbackCounts(long Up, long Down);

/// <summary>One person's use of Fleet in whole UTC days, both ends included.</summary>
public sealed record UsageReport(
    DateOnly From,
    DateOnly To,
    UsageTotals Totals,
    FeedbackCounts Feedback,
    long DocumentsIndexed,
    IReadOnlyList<ModelUsage> ByModel,
    IReadOnlyList<DayUsage> ByDay);

/// <param name="UserId">Whose use it is.</param>
/// <param name="UserName">Null until the registration event was seen.</param>
/// <param name="Usage">Sums over the range.</param>
public sealed record UserUsage(Guid UserId, string? UserName, UsageTotals Usage);
