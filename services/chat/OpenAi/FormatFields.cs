using System.Text.Json;
using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.OpenAi;

/// <summary>
/// What the reply must look like (openai-wire.md §4): <c>response_format</c>, and llama.cpp's <c>grammar</c> and <c>json_schema</c> beside it.
/// The engine compiles it; a schema it cannot enforce is refused there, naming the path.
/// </summary>
internal static class FormatFields
{
    public static ResponseFormat? Read(OpenAiJson json)
    {
        var formats = new[] { ReadResponseFormat(json), ReadGrammar(json), ReadSchema(json, "json_schema") }.OfType<ResponseFormat>().ToList();
        return formats.Count <= 1 ? formats.FirstOrDefault() : throw OpenAiException.Invalid("response_format", "Only one of 'response_format', 'grammar' and 'json_schema' can hold.");
    }

    private static ResponseFormat? ReadResponseFormat(OpenAiJson json)
    {
        if (!json.TryGet("response_format", out var format)) return null;
        if (format.ValueKind != JsonValueKind.Object) throw OpenAiException.Invalid("response_format", "'response_format' must be an object.");
        var fields = new OpenAiJson(format);
        switch (fields.String("type"))
        {
            case "text":
                return null;
            case "json_object":
                // llama.cpp's form: the schema beside the type.
                return ReadSchema(fields, "schema") ?? new ResponseFormat { JsonObject = true };
            case "json_schema":
                var named = fields.TryGet("json_schema", out var inner) && inner.ValueKind == JsonValueKind.Object ? ReadSchema(new OpenAiJson(inner), "schema") : null;
                return named ?? ReadSchema(fields, "schema")
                    ?? throw OpenAiException.Invalid("response_format.json_schema.schema", "'response_format.json_schema.schema' is missing.");
            default:
                throw OpenAiException.Invalid("response_format.type", "'response_format.type' is one of text, json_object, json_schema.");
        }
    }

    private static ResponseFormat? ReadGrammar(OpenAiJson json) =>
        json.String("grammar") is { Length: > 0 } grammar ? new ResponseFormat { Grammar = grammar } : null;

    private static ResponseFormat? ReadSchema(OpenAiJson json, string name)
    {
        if (!json.TryGet(name, out var schema)) return null;
        return schema.ValueKind is JsonValueKind.Object or JsonValueKind.True or JsonValueKind.False
            ? new ResponseFormat { JsonSchema = schema.GetRawText() }
            : throw OpenAiException.Invalid(name, $"'{name}' must be a JSON Schema.");
    }
}
