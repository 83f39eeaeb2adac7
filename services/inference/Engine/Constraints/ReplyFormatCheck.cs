using System.Text.Json;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>Whether a finished reply is what was asked for, whichever way it was generated. Made at admission, asked once at the end.</summary>
internal sealed class ReplyFormatCheck
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 512, AllowDuplicateProperties = false };

    private readonly ResponseFormatKind _kind;
    private readonly JsonSchemaValidator? _schema;

    /// <summary>Throws <see cref="EngineException"/> when the format's schema cannot be promised.</summary>
    public ReplyFormatCheck(ResponseFormat format)
    {
        _kind = format.Kind;
        _schema = format.Kind == ResponseFormatKind.JsonSchema ? new JsonSchemaValidator(format.Definition) : null;
    }

    /// <summary>Null when the text is what the format promises; otherwise why not, without quoting it. A grammar's text is as its grammar let it through.</summary>
    public static string? Validate(ResponseFormat format, string text) => new ReplyFormatCheck(format).Problem(text);

    public string? Problem(string text)
    {
        if (_kind is ResponseFormatKind.Text or ResponseFormatKind.Grammar)
            return null;

        try
        {
            using var document = JsonDocument.Parse(text, Strict);
            if (_schema is not null)
                return _schema.Problem(document.RootElement);
            return document.RootElement.ValueKind == JsonValueKind.Object ? null : "the reply is JSON but not an object";
        }
        catch (JsonException exception)
        {
            return $"the reply is not JSON (line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1})";
        }
        catch (InvalidOperationException)
        {
            // What System.Text.Json throws for a string whose \u escapes are half of a character.
            return "the reply has a string with half of a character";
        }
    }
}
