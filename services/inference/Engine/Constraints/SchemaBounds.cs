using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>What llama.cpp's schema converter can be given without taking seconds or exhausting a stack, whatever the schema means.</summary>
internal sealed class SchemaBounds
{
    public const int MaxName = 128;

    // Levels of JSON; a level of schemas is two of them.
    private const int MaxDepth = 96;
    private const int MaxNodes = 50_000;
    private const int MaxText = 16_384;

    // The converter writes a rule for every pair of an object's optional properties.
    private const long MaxPairs = 100_000;

    private int _nodes;
    private long _pairs;

    private SchemaBounds()
    {
    }

    public static void Check(JsonNode schema) => new SchemaBounds().Visit(schema, 0);

    private void Visit(JsonNode? node, int depth)
    {
        if (depth > MaxDepth)
            throw TooMuch($"nests more than {MaxDepth} deep");
        if (++_nodes > MaxNodes)
            throw TooMuch($"has more than {MaxNodes} parts");

        switch (node)
        {
            case JsonObject values:
                VisitObject(values, depth);
                break;
            case JsonArray list:
                foreach (var entry in list)
                    Visit(entry, depth + 1);
                break;
            case JsonValue value when value.TryGetValue<string>(out var text) && text.Length > MaxText:
                throw TooMuch($"has a text of more than {MaxText} characters");
        }
    }

    private void VisitObject(JsonObject values, int depth)
    {
        if (values["properties"] is JsonObject properties)
        {
            var optional = (long)properties.Count - ((values["required"] as JsonArray)?.Count ?? 0);
            _pairs += optional * Math.Max(0, optional);
            if (_pairs > MaxPairs)
                throw TooMuch("has too many optional properties: the sum of their squares over all objects is at most 100000");
        }

        if (values["type"] is JsonArray types && types.Select(type => type?.ToJsonString()).Distinct().Count() < types.Count)
            throw TooMuch("names a type twice in one list");
        if (values["$ref"] is JsonValue reference && reference.TryGetValue<string>(out var target) && target.Length > 4 * MaxName)
            throw TooMuch("has a reference that is too long");

        foreach (var (name, value) in values)
        {
            if (name.Length > MaxName)
                throw TooMuch($"has a name of more than {MaxName} characters");
            Visit(value, depth + 1);
        }
    }

    private static EngineException TooMuch(string what) => new(EngineError.InvalidRequest, $"The JSON Schema {what}.");
}
