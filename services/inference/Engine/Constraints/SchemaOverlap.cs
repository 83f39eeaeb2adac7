using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>Whether two schemas can be told apart for certain: what "oneOf" needs and a grammar cannot check.</summary>
internal static class SchemaOverlap
{
    private const int MaxDepth = 16;

    /// <summary>True when no value matches both; false when it cannot be told.</summary>
    public static bool NeverBoth(JsonNode root, JsonNode one, JsonNode other) => NeverBoth(root, Target(root, one), Target(root, other), 0);

    /// <summary>The object a schema is, through references; null when it is none.</summary>
    public static JsonObject? Target(JsonNode root, JsonNode? schema)
    {
        for (var steps = 0; steps < MaxDepth; steps++)
        {
            if (schema is not JsonObject node || node["$ref"] is not { } reference)
                return schema as JsonObject;
            schema = reference is JsonValue value && value.GetValueKind() == JsonValueKind.String ? SchemaReader.Resolve(root, value.GetValue<string>()) : null;
        }

        return null;
    }

    public static bool IsOfType(JsonNode? value, string type) => (value?.GetValueKind() ?? JsonValueKind.Null, type) switch
    {
        (JsonValueKind.Object, "object") or (JsonValueKind.Array, "array") or (JsonValueKind.String, "string") or (JsonValueKind.Number, "number") or (JsonValueKind.Null, "null") => true,
        (JsonValueKind.True or JsonValueKind.False, "boolean") => true,
        (JsonValueKind.Number, "integer") => double.TryParse(value!.ToJsonString(), CultureInfo.InvariantCulture, out var number) && number == Math.Floor(number),
        _ => false,
    };

    private static bool NeverBoth(JsonNode root, JsonObject? one, JsonObject? other, int depth)
    {
        if (one is null || other is null || depth > MaxDepth)
            return false;
        if (Alternatives(one) is { } parts)
            return parts.All(part => NeverBoth(root, Target(root, part), other, depth + 1));
        if (Alternatives(other) is { } others)
            return others.All(part => NeverBoth(root, one, Target(root, part), depth + 1));

        var (values, otherValues) = (Values(one), Values(other));
        if (values is not null && otherValues is not null)
            return values.All(value => !otherValues.Any(candidate => JsonNode.DeepEquals(value, candidate)));
        if ((values ?? otherValues) is { } listed)
        {
            var types = TypesOf(values is null ? one : other);
            return types is not null && listed.All(value => !types.Any(type => IsOfType(value, type)));
        }

        if (TypesOf(one) is not { } left || TypesOf(other) is not { } right)
            return false;
        if (!left.Any(type => right.Any(candidate => type == candidate || (type, candidate) is ("number", "integer") or ("integer", "number"))))
            return true;
        return left is ["object"] && right is ["object"] && DifferInARequiredProperty(root, one, other, depth);
    }

    private static bool DifferInARequiredProperty(JsonNode root, JsonObject one, JsonObject other, int depth)
    {
        if (one["properties"] is not JsonObject left || other["properties"] is not JsonObject right)
            return false;

        return RequiredOf(one).Intersect(RequiredOf(other), StringComparer.Ordinal).Any(name =>
            left.ContainsKey(name) && right.ContainsKey(name) && NeverBoth(root, Target(root, left[name]), Target(root, right[name]), depth + 1));
    }

    private static IEnumerable<string> RequiredOf(JsonObject schema) => (schema["required"] as JsonArray ?? []).Select(name => name!.GetValue<string>());

    private static IEnumerable<JsonNode?>? Alternatives(JsonObject schema) => schema["anyOf"] as JsonArray ?? schema["oneOf"] as JsonArray;

    private static IReadOnlyList<JsonNode?>? Values(JsonObject schema) =>
        schema.TryGetPropertyValue("const", out var constant) ? [constant] : schema["enum"] is JsonArray values ? [.. values] : null;

    private static List<string>? TypesOf(JsonObject schema) => schema["type"] switch
    {
        JsonArray list => list.Select(type => type!.GetValue<string>()).ToList(),
        JsonValue value => [value.GetValue<string>()],
        _ => schema.ContainsKey("properties") ? ["object"] : null,
    };
}
