using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// Which JSON Schemas can be promised. llama.cpp's converter (common/json-schema.cpp and json-schema-to-grammar.cpp at v0.5.0) silently
/// ignores what it does not know, and some combinations of what it knows; everything it would not really enforce is refused here, with the
/// place and the keyword. Annotations and names that begin with x- are allowed and mean nothing.
/// </summary>
internal static class JsonSchemaSupport
{
    public const int MaxLength = 262_144;

    // Of the schema's own text; the converter and the grammar's rules nest as deep.
    private const int MaxJsonDepth = 128;

    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = MaxJsonDepth };

    /// <summary>Throws <see cref="EngineException"/> (invalid request) unless every keyword of the schema will be enforced.</summary>
    public static void Check(string schema) => new SchemaReader(Parse(schema)).Check();

    /// <summary>
    /// The checked schema as the converter must read it: patterns in a form that it gets right, integers with both bounds (with one alone
    /// it lets 10 through where the minimum is 100, and leading zeros) and no further properties beside named ones (it takes names that end the
    /// JSON). What matches the result matches the schema.
    /// </summary>
    public static string ForConverter(string schema)
    {
        var root = Parse(schema);
        var reader = new SchemaReader(root);
        reader.Check();
        foreach (var (node, pattern) in reader.Patterns)
            node["pattern"] = pattern.Grammar;
        foreach (var node in reader.Open)
            node["additionalProperties"] = false;
        foreach (var node in reader.HalfBounded)
        {
            var hasLeast = node.ContainsKey("minimum") || node.ContainsKey("exclusiveMinimum");
            node[hasLeast ? "maximum" : "minimum"] = hasLeast ? SchemaReader.LargestInteger : -SchemaReader.LargestInteger;
        }

        return root.ToJsonString(Plain);
    }

    /// <summary>
    /// Throws <see cref="EngineException"/> when a schema whose keywords need not all be enforced (a tool's) is too much for the converter,
    /// whose work grows with the square of optional properties and doubles with every repeated type, and whose expressions recurse over names.
    /// </summary>
    public static void CheckBounds(string schema) => SchemaBounds.Check(Parse(schema));

    internal static JsonNode Parse(string schema)
    {
        if (schema.Length > MaxLength)
            throw new EngineException(EngineError.InvalidRequest, $"The JSON Schema has {schema.Length} characters; {MaxLength} are allowed.");

        try
        {
            return JsonNode.Parse(schema, documentOptions: new JsonDocumentOptions { MaxDepth = MaxJsonDepth, AllowDuplicateProperties = false })
                ?? throw new EngineException(EngineError.InvalidRequest, "The JSON Schema is null; it must be an object.");
        }
        catch (JsonException exception)
        {
            throw new EngineException(EngineError.InvalidRequest, $"The JSON Schema is not JSON: {exception.Message}", exception);
        }
    }
}
