using System.Diagnostics.CodeAnalysis;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fleet.Chat.OpenAi;

/// <summary>
/// Reads a request field by field, so that every refusal names its parameter. Unknown fields are none of our business; null means absent.
/// </summary>
internal readonly struct OpenAiJson(JsonElement root)
{
    /// <summary>Text goes out as itself, not as \u escapes.</summary>
    public static readonly JsonSerializerOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static async Task<JsonDocument> ReadBodyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        try
        {
            var document = await JsonDocument.ParseAsync(request.Body, cancellationToken: cancellationToken).ConfigureAwait(false);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
            document.Dispose();
        }
        catch (JsonException)
        {
            // Said below.
        }

        throw OpenAiException.Invalid(null, "The body is not a JSON object.");
    }

    /// <summary>A string's text; invalid UTF-8 and half surrogate pairs are the caller's mistake.</summary>
    public static string Text(JsonElement value, string at)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw OpenAiException.Invalid(at, $"'{at}' is not valid Unicode text.");
        }
    }

    public bool TryGet(string name, out JsonElement value) =>
        root.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    [SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "Names of JSON types.")]
    public string? String(string name) => !TryGet(name, out var value) ? null
        : value.ValueKind == JsonValueKind.String ? Text(value, name)
        : throw OpenAiException.Invalid(name, $"'{name}' must be a string.");

    public bool Boolean(string name) => TryGet(name, out var value) && value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw OpenAiException.Invalid(name, $"'{name}' must be true or false."),
    };

    public double? Number(string name, double least, double most)
    {
        if (!TryGet(name, out var value)) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= least && number <= most) return number;
        throw OpenAiException.Invalid(name, FormattableString.Invariant($"'{name}' must be a number between {least} and {most}."));
    }

    public long? Integer(string name, long least, long most)
    {
        if (!TryGet(name, out var value)) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= least && number <= most) return number;
        throw OpenAiException.Invalid(name, FormattableString.Invariant($"'{name}' must be an integer between {least} and {most}."));
    }

    /// <summary>A string or an array of them.</summary>
    public IReadOnlyList<string> Strings(string name, int most)
    {
        if (!TryGet(name, out var value)) return [];
        if (value.ValueKind == JsonValueKind.String) return [Text(value, name)];
        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() <= most
            && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String))
        {
            return [.. value.EnumerateArray().Select(item => Text(item, name))];
        }

        throw OpenAiException.Invalid(name, $"'{name}' must be a string or an array of at most {most} strings.");
    }
}
