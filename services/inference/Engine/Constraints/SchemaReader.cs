using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>Walks a schema as llama.cpp's converter does and refuses what that would leave out. One schema's; used once. One long file: a check for each keyword, side by side.</summary>
internal sealed class SchemaReader(JsonNode root)
{
    private const int MaxSchemas = 5000;
    private const int MaxDepth = 48;
    // Larger ones are not exact in every JSON reader.
    public const long LargestInteger = 9_007_199_254_740_991;

    private static readonly HashSet<string> Annotations =
        ["title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly"];

    private static readonly HashSet<string> Keywords =
    [
        "$ref", "anyOf", "oneOf", "allOf", "type", "const", "enum", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems",
        "pattern", "format", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    ];

    private static readonly string[] Types = ["object", "array", "string", "number", "integer", "boolean", "null"];
    private static readonly string[] Bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

    private readonly HashSet<JsonObject> _seen = new(ReferenceEqualityComparer.Instance);

    public Dictionary<JsonObject, SchemaPattern> Patterns { get; } = new(ReferenceEqualityComparer.Instance);

    /// <summary>Integers with a bound on one side only.</summary>
    public HashSet<JsonObject> HalfBounded { get; } = new(ReferenceEqualityComparer.Instance);

    /// <summary>Objects with properties of their own that allow any others.</summary>
    public HashSet<JsonObject> Open { get; } = new(ReferenceEqualityComparer.Instance);

    public void Check()
    {
        SchemaBounds.Check(root);
        Visit(root, "#", 0);
    }

    /// <summary>The schema a reference means; null when there is none.</summary>
    public static JsonNode? Resolve(JsonNode root, string reference)
    {
        JsonNode? target = root;
        foreach (var name in reference.Split('/').Skip(1))
        {
            target = target switch
            {
                JsonObject parent => parent[name],
                JsonArray list when int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < list.Count => list[index],
                _ => null,
            };
        }

        return target;
    }

    private void Visit(JsonNode? node, string path, int depth)
    {
        if (node is not JsonObject schema)
            throw Refused(path, node is JsonValue ? "a schema must be an object; true and false are not supported" : "a schema must be an object");
        if (!_seen.Add(schema))
            return;
        if (_seen.Count > MaxSchemas)
            throw Refused(path, $"there are more than {MaxSchemas} schemas");
        if (depth > MaxDepth)
            throw Refused(path, $"schemas nest more than {MaxDepth} deep");

        foreach (var (name, _) in schema)
        {
            if (!Keywords.Contains(name) && !Annotations.Contains(name) && !name.StartsWith("x-", StringComparison.Ordinal))
                throw Refused($"{path}/{name}", $"the keyword \"{Short(name)}\" is not supported");
        }

        if (schema.ContainsKey("$ref"))
            Reference(schema, path, depth);
        else if (schema.ContainsKey("oneOf"))
            Alternatives(schema, "oneOf", path, depth);
        else if (schema.ContainsKey("anyOf"))
            Alternatives(schema, "anyOf", path, depth);
        else if (schema.ContainsKey("const") || schema.ContainsKey("enum"))
            Values(schema, path);
        else
            Typed(schema, path, depth);
    }

    private void Reference(JsonObject schema, string path, int depth)
    {
        Alone(schema, "$ref", path);
        var reference = Text(schema, "$ref", path);
        if (!reference.StartsWith("#/", StringComparison.Ordinal))
            throw Refused($"{path}/$ref", "only references into the same document (#/...) are supported");
        if (reference.Contains('~') || reference.Contains('%'))
            throw Refused($"{path}/$ref", "references with escapes (~ or %) are not supported");

        // A chain of references that comes back to itself says nothing.
        var target = Resolve(root, reference);
        var chain = new HashSet<string>(StringComparer.Ordinal) { reference };
        while (target is JsonObject next && next.ContainsKey("$ref"))
        {
            var further = Text(next, "$ref", reference);
            if (!chain.Add(further))
                throw Refused($"{path}/$ref", "the reference leads back to itself");
            target = further.StartsWith("#/", StringComparison.Ordinal) ? Resolve(root, further) : null;
        }

        if (target is null)
            throw Refused($"{path}/$ref", $"the reference {Short(reference)} leads nowhere");
        Visit(Resolve(root, reference), reference, depth + 1);
    }

    private void Alternatives(JsonObject schema, string keyword, string path, int depth)
    {
        Alone(schema, keyword, path);
        var alternatives = List(schema, keyword, path);
        for (var i = 0; i < alternatives.Count; i++)
            Visit(alternatives[i], $"{path}/{keyword}/{i}", depth + 1);
        if (keyword == "anyOf")
            return;

        for (var i = 0; i < alternatives.Count; i++)
        {
            for (var j = 0; j < i; j++)
            {
                if (!SchemaOverlap.NeverBoth(root, alternatives[j]!, alternatives[i]!))
                    throw Refused($"{path}/oneOf", $"alternatives {j} and {i} may both match, which a grammar cannot rule out; give them different types or a constant property of different value, or use anyOf");
            }
        }
    }

    private static void Values(JsonObject schema, string path)
    {
        var keyword = schema.ContainsKey("const") ? "const" : "enum";
        var values = keyword == "const" ? [schema["const"]] : List(schema, "enum", path);
        foreach (var (name, _) in schema)
        {
            if (name != "type" && name != keyword && Keywords.Contains(name))
                throw Refused($"{path}/{name}", $"\"{name}\" beside \"{keyword}\" is not supported");
        }

        if (!schema.ContainsKey("type"))
            return;

        var types = TypesOf(schema, path);
        foreach (var value in values)
        {
            if (!types.Any(type => SchemaOverlap.IsOfType(value, type)))
                throw Refused($"{path}/{keyword}", "a value is not of the type beside it");
        }
    }

    private void Typed(JsonObject schema, string path, int depth)
    {
        if (!schema.ContainsKey("type"))
        {
            Untyped(schema, path, depth);
            return;
        }

        foreach (var type in TypesOf(schema, path))
        {
            if (schema.ContainsKey("allOf") && (type != "object" || HasProperties(schema)))
                throw Refused($"{path}/allOf", "\"allOf\" is supported only without other keywords, or beside \"type\": \"object\" and \"required\"");
            switch (type)
            {
                case "object" when schema.ContainsKey("allOf"):
                    AllOf(schema, path, depth);
                    break;
                case "object":
                    Object(schema, path, depth);
                    break;
                case "array":
                    Array(schema, path, depth);
                    break;
                case "string":
                    String(schema, path);
                    break;
                case "integer":
                    Integer(schema, path);
                    break;
                case "number":
                    None(schema, path, "is enforced for integers only", Bounds);
                    break;
            }
        }
    }

    // Without a type the converter goes by the keywords, in this order.
    private void Untyped(JsonObject schema, string path, int depth)
    {
        if (HasProperties(schema))
        {
            None(schema, path, "is not supported beside \"properties\"", "allOf");
            Object(schema, path, depth);
        }
        else if (schema.ContainsKey("allOf"))
        {
            AllOf(schema, path, depth);
        }
        else if (schema.ContainsKey("items") || schema.ContainsKey("prefixItems"))
        {
            Array(schema, path, depth);
        }
        else if (schema.ContainsKey("pattern") || schema.ContainsKey("minLength") || schema.ContainsKey("maxLength") || schema.ContainsKey("format"))
        {
            String(schema, path);
        }
        else
        {
            None(schema, path, "needs a \"type\" beside it", [.. Keywords]);
        }
    }

    private void Object(JsonObject schema, string path, int depth)
    {
        var properties = schema["properties"] is { } given ? given as JsonObject ?? throw Refused($"{path}/properties", "must be an object") : [];
        Required(schema, path, properties.Select(property => property.Key).ToHashSet(StringComparer.Ordinal));
        foreach (var (name, property) in properties)
        {
            if (name == "*")
                throw Refused($"{path}/properties", "a property cannot be named *");
            Visit(property, $"{path}/properties/{name}", depth + 1);
        }

        if (!schema.TryGetPropertyValue("additionalProperties", out var additional) || additional is JsonValue closed && closed.GetValueKind() == JsonValueKind.False)
            return;
        if (additional is JsonValue open && open.GetValueKind() == JsonValueKind.True)
        {
            if (properties.Count > 0)
                Open.Add(schema);
            return;
        }

        if (additional is not JsonObject)
            throw Refused($"{path}/additionalProperties", "must be true, false or a schema");

        // The converter lets a name that is none of the others begin with characters that end the JSON.
        if (properties.Count > 0)
            throw Refused($"{path}/additionalProperties", "a schema for further properties is not supported beside \"properties\"");
        Visit(additional, $"{path}/additionalProperties", depth + 1);
    }

    private static void Required(JsonObject schema, string path, HashSet<string> properties)
    {
        if (!schema.TryGetPropertyValue("required", out var given))
            return;

        var names = given as JsonArray ?? throw Refused($"{path}/required", "must be a list of names");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in names)
        {
            var name = entry is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : throw Refused($"{path}/required", "must be a list of names");
            if (!properties.Contains(name))
                throw Refused($"{path}/required", $"\"{Short(name)}\" is not among the properties and could not be enforced");
            if (!seen.Add(name))
                throw Refused($"{path}/required", $"\"{Short(name)}\" is named twice");
        }
    }

    // The converter merges the properties of objects and requires all of them; of anything else it keeps nothing.
    private void AllOf(JsonObject schema, string path, int depth)
    {
        None(schema, path, "is not supported beside \"allOf\"", [.. Keywords.Except(["type", "required", "allOf"])]);
        var parts = List(schema, "allOf", path);
        var properties = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < parts.Count; i++)
        {
            var at = $"{path}/allOf/{i}";
            Visit(parts[i], at, depth + 1);
            if (SchemaOverlap.Target(root, parts[i]!) is not { } part || part["properties"] is not JsonObject own || part.ContainsKey("additionalProperties")
                || part.ContainsKey("anyOf") || part.ContainsKey("oneOf") || part.ContainsKey("const") || part.ContainsKey("enum")
                || (part.ContainsKey("type") && part["type"] is not JsonValue))
                throw Refused(at, "each part of \"allOf\" must be an object with \"properties\" and without \"additionalProperties\"");
            foreach (var (name, _) in own)
            {
                if (!properties.Add(name))
                    throw Refused(at, $"the property \"{Short(name)}\" is in two parts of \"allOf\"");
            }
        }

        Required(schema, path, properties);
    }

    private void Array(JsonObject schema, string path, int depth)
    {
        var most = Count(schema, "maxItems", path);
        var least = Count(schema, "minItems", path) ?? 0;
        if (least > most)
            throw Refused($"{path}/minItems", "is more than \"maxItems\"");
        if (schema.ContainsKey("items") && schema.ContainsKey("prefixItems"))
            throw Refused($"{path}/prefixItems", "is not supported beside \"items\"");

        var keyword = schema.ContainsKey("items") ? "items" : "prefixItems";
        if (!schema.TryGetPropertyValue(keyword, out var items))
            return;
        if (items is not JsonArray list)
        {
            if (keyword == "prefixItems")
                throw Refused($"{path}/prefixItems", "must be a list of schemas");
            Visit(items, $"{path}/items", depth + 1);
            return;
        }

        // A list is exactly as long as its schemas.
        if (list.Count < least || list.Count > (most ?? int.MaxValue))
            throw Refused($"{path}/{keyword}", "has a length that \"minItems\" and \"maxItems\" do not allow");
        for (var i = 0; i < list.Count; i++)
            Visit(list[i], $"{path}/{keyword}/{i}", depth + 1);
    }

    private void String(JsonObject schema, string path)
    {
        var least = Count(schema, "minLength", path) ?? 0;
        if (least > (Count(schema, "maxLength", path) ?? int.MaxValue))
            throw Refused($"{path}/minLength", "is more than \"maxLength\"");
        if (schema.ContainsKey("format"))
        {
            var format = Text(schema, "format", path);
            if (!JsonFormats.Known.ContainsKey(format))
                throw Refused($"{path}/format", $"\"{Short(format)}\" cannot be enforced; supported are {string.Join(", ", JsonFormats.Known.Keys)}");
            None(schema, path, "is not supported beside \"format\"", "pattern", "minLength", "maxLength");
        }

        if (!schema.ContainsKey("pattern"))
            return;

        None(schema, path, "is not supported beside \"pattern\"", "minLength", "maxLength");
        try
        {
            Patterns[schema] = SchemaPattern.Parse(Text(schema, "pattern", path));
        }
        catch (FormatException exception)
        {
            throw Refused($"{path}/pattern", $"the expression {exception.Message}");
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            throw Refused($"{path}/pattern", "the expression is too large");
        }
    }

    private void Integer(JsonObject schema, string path)
    {
        var least = Bound(schema, "minimum", path) is { } minimum ? Math.Ceiling(minimum) : double.NegativeInfinity;
        var most = Bound(schema, "maximum", path) is { } maximum ? Math.Floor(maximum) : double.PositiveInfinity;
        if (Bound(schema, "exclusiveMinimum", path) is { } above)
            least = double.IsInfinity(least) ? Math.Floor(above) + 1 : throw Refused($"{path}/exclusiveMinimum", "is not supported beside \"minimum\"");
        if (Bound(schema, "exclusiveMaximum", path) is { } below)
            most = double.IsInfinity(most) ? Math.Ceiling(below) - 1 : throw Refused($"{path}/exclusiveMaximum", "is not supported beside \"maximum\"");
        if (least > most)
            throw Refused(path, "no integer is within the bounds");
        if (double.IsInfinity(least) != double.IsInfinity(most))
            HalfBounded.Add(schema);
    }

    private static double? Bound(JsonObject schema, string keyword, string path)
    {
        if (!schema.TryGetPropertyValue(keyword, out var given))
            return null;
        return given is JsonValue value && value.GetValueKind() == JsonValueKind.Number && double.TryParse(value.ToJsonString(), CultureInfo.InvariantCulture, out var bound)
            && Math.Abs(bound) <= LargestInteger
            ? bound
            : throw Refused($"{path}/{keyword}", $"must be a number of at most {LargestInteger}");
    }

    private static int? Count(JsonObject schema, string keyword, string path)
    {
        if (!schema.TryGetPropertyValue(keyword, out var given))
            return null;
        return given is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue<int>(out var count) && count is >= 0 and <= GbnfParser.MaxRepetitions
            ? count
            : throw Refused($"{path}/{keyword}", $"must be an integer from 0 to {GbnfParser.MaxRepetitions}");
    }

    private static bool HasProperties(JsonObject schema) =>
        schema.ContainsKey("properties") || (schema.TryGetPropertyValue("additionalProperties", out var additional) && additional?.GetValueKind() != JsonValueKind.True);

    private static List<string> TypesOf(JsonObject schema, string path)
    {
        var given = schema["type"] is JsonArray { Count: > 0 } list ? list.ToList() : [schema["type"]];
        return given.ConvertAll(type => type is JsonValue value && value.GetValueKind() == JsonValueKind.String && Types.Contains(value.GetValue<string>())
            ? value.GetValue<string>()
            : throw Refused($"{path}/type", $"a type is one of {string.Join(", ", Types)}"));
    }

    private static List<JsonNode?> List(JsonObject schema, string keyword, string path) =>
        schema[keyword] is JsonArray { Count: > 0 } list ? [.. list] : throw Refused($"{path}/{keyword}", "must be a list that is not empty");

    private static string Text(JsonObject schema, string keyword, string path) =>
        schema[keyword] is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : throw Refused($"{path}/{keyword}", "must be a string");

    private static void Alone(JsonObject schema, string keyword, string path) =>
        None(schema, path, $"is not supported beside \"{keyword}\"", [.. Keywords.Except([keyword])]);

    private static void None(JsonObject schema, string path, string problem, params string[] keywords)
    {
        if (keywords.FirstOrDefault(schema.ContainsKey) is { } keyword)
            throw Refused($"{path}/{keyword}", $"\"{keyword}\" {problem}");
    }

    private static string Short(string text) => text.Length <= 80 ? text : $"{text[..80]}...";

    private static EngineException Refused(string path, string problem) =>
        new(EngineError.InvalidRequest, $"The JSON Schema at {(path.Length <= 300 ? path : $"{path[..300]}...")}: {problem}.");
}
