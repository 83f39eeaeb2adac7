using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Analytics.Usage;

public sealed class UsageOptions
{
    public const string SectionName = "Analytics";

    /// <summary>Days shown when a request names no range; today (UTC) is the last of them.</summary>
    [Range(1, 366)]
    public int DefaultRangeDays { get; set; } = 30;

    /// <summary>Longest range one request may ask for; a longer one is refused with 400.</summary>
    [Range(1, 3660)]
    public int MaxRangeDays { get; set; } = 366;
}

[OptionsValidator]
internal sealed partial class UsageOptionsValidator : IValidateOptions<UsageOptions>;
