using System.Text.RegularExpressions;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>The "format" values of JSON Schema that a grammar enforces, with the same strictness: a date's day is 01 to 31 whatever the month.</summary>
internal static partial class JsonFormats
{
    public static IReadOnlyDictionary<string, Regex> Known { get; } = new Dictionary<string, Regex>(StringComparer.Ordinal)
    {
        ["date"] = Date(),
        ["time"] = Time(),
        ["date-time"] = DateAndTime(),
        ["uuid"] = Uuid(),
    };

    [GeneratedRegex(@"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\z")]
    private static partial Regex Date();

    [GeneratedRegex(@"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{3})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])\z")]
    private static partial Regex Time();

    [GeneratedRegex(@"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{3})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])\z")]
    private static partial Regex DateAndTime();

    [GeneratedRegex(@"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z")]
    private static partial Regex Uuid();
}
