using System.Globalization;

namespace Fleet.Analytics.Usage;

/// <summary>Whole UTC days, both ends included.</summary>
internal readonly record struct UsageRange(DateOnly From, DateOnly To)
{
    /// <returns>Null with a sentence for the caller when the range cannot be read or is not allowed.</returns>
    public static UsageRange? TryCreate(string? from, string? to, DateOnly today, UsageOptions options, out string error)
    {
        error = "";
        if (!TryParse(to, out var last) || !TryParse(from, out var first))
        {
            error = "from and to are dates of the form 2026-11-20 (UTC days, both included).";
            return null;
        }

        var end = last ?? Later(first, today);
        if (first is null && end.DayNumber < options.DefaultRangeDays)
        {
            error = "to is too early.";
            return null;
        }

        var start = first ?? end.AddDays(1 - options.DefaultRangeDays);
        if (start > end)
        {
            error = "from must not be later than to.";
            return null;
        }

        if (end.DayNumber - start.DayNumber >= options.MaxRangeDays)
        {
            error = string.Create(CultureInfo.InvariantCulture, $"A range holds at most {options.MaxRangeDays} days.");
            return null;
        }

        return new UsageRange(start, end);
    }

    private static DateOnly Later(DateOnly? first, DateOnly today) => first > today ? first.Value : today;

    private static bool TryParse(string? text, out DateOnly? day)
    {
        day = null;
        if (string.IsNullOrEmpty(text))
            return true;

        if (!DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var parsed))
            return false;

        day = parsed;
        return true;
    }
}
