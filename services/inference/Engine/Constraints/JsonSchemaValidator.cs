using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// Whether a finished value matches a schema that <see cref="JsonSchemaSupport"/> accepted. It knows those keywords and no others, with the
/// meaning of draft 2020-12. Own code: the validators on NuGet know every keyword of every draft, of which nine tenths are refused here.
/// Thread-safe; keep it for as long as the schema is used.
/// </summary>
internal sealed class JsonSchemaValidator
{
    private const int MaxDepth = 256;

    private readonly JsonNode _root;
    private readonly Dictionary<JsonObject, SchemaPattern> _patterns;

    /// <summary>Throws as <see cref="JsonSchemaSupport.Check"/> does.</summary>
    public JsonSchemaValidator(string schema)
    {
        _root = JsonSchemaSupport.Parse(schema);
        var reader = new SchemaReader(_root);
        reader.Check();
        _patterns = reader.Patterns;
    }

    /// <summary>Null when the value matches; otherwise where it does not and why. Never quotes the value.</summary>
    public string? Problem(JsonElement value) => Problem(value, _root, "$", 0);

    private string? Problem(JsonElement value, JsonNode? node, string path, int depth)
    {
        if (depth > MaxDepth)
            return $"{path} is nested too deep";

        var schema = (JsonObject)node!;
        if (schema["$ref"] is { } reference)
            return Problem(value, SchemaReader.Resolve(_root, reference.GetValue<string>()), path, depth + 1);
        if ((schema["anyOf"] ?? schema["oneOf"]) is JsonArray alternatives)
            return alternatives.Any(alternative => Problem(value, alternative, path, depth + 1) is null) ? null : $"{path} matches none of the alternatives";
        if (schema["type"] is { } type && !MatchesType(value, type))
            return $"{path} is not of the type {type.ToJsonString()}";
        if (schema.TryGetPropertyValue("const", out var constant))
            return Same(value, constant) ? null : $"{path} is not the constant";
        if (schema["enum"] is JsonArray values)
            return values.Any(candidate => Same(value, candidate)) ? null : $"{path} is none of the listed values";

        foreach (var part in schema["allOf"] as JsonArray ?? [])
        {
            if (Problem(value, part, path, depth + 1) is { } problem)
                return problem;
        }

        return value.ValueKind switch
        {
            JsonValueKind.Object => OfObject(value, schema, path, depth),
            JsonValueKind.Array => OfArray(value, schema, path, depth),
            JsonValueKind.String => OfString(value, schema, path),
            JsonValueKind.Number => OfNumber(value, schema, path),
            _ => null,
        };
    }

    private string? OfObject(JsonElement value, JsonObject schema, string path, int depth)
    {
        foreach (var name in schema["required"] as JsonArray ?? [])
        {
            if (!value.TryGetProperty(name!.GetValue<string>(), out _))
                return $"{path} lacks the property \"{name}\"";
        }

        var properties = schema["properties"] as JsonObject;
        foreach (var property in value.EnumerateObject())
        {
            JsonNode? own = null;
            var known = properties?.TryGetPropertyValue(property.Name, out own) ?? false;
            if (!known && !schema.TryGetPropertyValue("additionalProperties", out own))
                continue;
            if (!known && own is not JsonObject)
            {
                if (own!.GetValueKind() == JsonValueKind.False)
                    return $"{path} has a property that the schema does not allow";
                continue;
            }

            if (Problem(property.Value, own, known ? $"{path}.{property.Name}" : $"{path}.*", depth + 1) is { } problem)
                return problem;
        }

        return null;
    }

    private string? OfArray(JsonElement value, JsonObject schema, string path, int depth)
    {
        var length = value.GetArrayLength();
        if (length < Number(schema, "minItems") || length > Number(schema, "maxItems"))
            return $"{path} has {length} items";

        var items = schema["items"] ?? schema["prefixItems"];
        for (var i = 0; i < length && items is not null; i++)
        {
            var own = items is JsonArray list ? (i < list.Count ? list[i] : null) : items;
            if (own is not null && Problem(value[i], own, $"{path}[{i}]", depth + 1) is { } problem)
                return problem;
        }

        return null;
    }

    private string? OfString(JsonElement value, JsonObject schema, string path)
    {
        var text = value.GetString()!;
        var length = text.EnumerateRunes().Count();
        if (length < Number(schema, "minLength") || length > Number(schema, "maxLength"))
            return $"{path} has {length} characters";
        if (schema["format"] is { } format && !JsonFormats.Known[format.GetValue<string>()].IsMatch(text))
            return $"{path} is not of the format {format}";
        return _patterns.TryGetValue(schema, out var pattern) && !pattern.Expression.IsMatch(text) ? $"{path} does not match the pattern" : null;
    }

    private static string? OfNumber(JsonElement value, JsonObject schema, string path)
    {
        var number = value.GetDouble();
        return number < Number(schema, "minimum") || number > Number(schema, "maximum") || number <= Number(schema, "exclusiveMinimum") || number >= Number(schema, "exclusiveMaximum")
            ? $"{path} is out of bounds"
            : null;
    }

    // NaN for what is absent: every comparison with it is false.
    private static double Number(JsonObject schema, string keyword) =>
        schema[keyword] is { } value ? double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture) : double.NaN;

    private static bool MatchesType(JsonElement value, JsonNode type)
    {
        var node = value.ValueKind == JsonValueKind.Number ? JsonValue.Create(value) : null;
        return type is JsonArray types ? types.Any(one => Is(one!.GetValue<string>())) : Is(type.GetValue<string>());

        bool Is(string name) => (value.ValueKind, name) switch
        {
            (JsonValueKind.Object, "object") or (JsonValueKind.Array, "array") or (JsonValueKind.String, "string") or (JsonValueKind.Null, "null") => true,
            (JsonValueKind.True or JsonValueKind.False, "boolean") => true,
            (JsonValueKind.Number, _) => SchemaOverlap.IsOfType(node, name),
            _ => false,
        };
    }

    private static bool Same(JsonElement value, JsonNode? constant) => JsonNode.DeepEquals(ToNode(value), constant);

    private static JsonNode? ToNode(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Object => JsonObject.Create(value),
        JsonValueKind.Array => JsonArray.Create(value),
        _ => JsonValue.Create(value),
    };
}
