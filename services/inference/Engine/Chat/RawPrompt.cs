using System.Text.Json;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Native;

namespace Fleet.Inference.Engine.Chat;

/// <summary>Prompts that are taken as they are: no template, and everything that comes back is content.</summary>
internal static class RawPrompt
{
    public const string AnyObjectSchema = """{"type":"object"}""";

    // What {} and true mean, said so that a grammar can be made of it.
    private const string AnyValueSchema = """{"type":["object","array","string","number","boolean","null"]}""";

    /// <param name="schemaToGrammar">Null where schemas cannot be compiled.</param>
    public static PreparedPrompt Prepare(GenerationRequest request, IPromptVocabulary vocabulary, Func<string, string>? schemaToGrammar)
    {
        var tokens = request.PromptTokens.Count > 0
            ? [.. request.PromptTokens, .. Continued(request, vocabulary)]
            : vocabulary.TokenizePrompt(request.Prompt, request.ContinueFrom);
        return new PreparedPrompt { Tokens = tokens, Grammar = Grammar(request.ResponseFormat, schemaToGrammar), Parser = new PlainReplyParser() };
    }

    /// <summary>The grammar of an answer that is nothing but what the format asks for; null for text.</summary>
    public static GrammarSpec? Grammar(ResponseFormat format, Func<string, string>? schemaToGrammar) => format.Kind switch
    {
        ResponseFormatKind.Grammar => new GrammarSpec { Gbnf = format.Definition },
        ResponseFormatKind.JsonObject => new GrammarSpec { Gbnf = JsonGrammar.AnyObject },
        ResponseFormatKind.JsonSchema when schemaToGrammar is not null =>
            new GrammarSpec { Gbnf = Compile(SchemaOf(format.Definition), "The response's schema", schemaToGrammar) },
        ResponseFormatKind.JsonSchema => throw NotWithoutShim("JSON Schema"),
        _ => null,
    };

    /// <summary>The schema, with "anything" spelt out.</summary>
    public static string SchemaOf(string definition)
    {
        try
        {
            using var document = JsonDocument.Parse(definition);
            return document.RootElement.ValueKind switch
            {
                JsonValueKind.True => AnyValueSchema,
                JsonValueKind.Object when !document.RootElement.EnumerateObject().Any() => AnyValueSchema,
                JsonValueKind.Object => JsonSchemaSupport.ForConverter(definition),
                _ => throw new EngineException(EngineError.InvalidRequest, "The response's schema is not a JSON object."),
            };
        }
        catch (JsonException exception)
        {
            throw new EngineException(EngineError.InvalidRequest, $"The response's schema is not valid JSON of at most 64 levels: {exception.Message}", exception);
        }
    }

    public static string Compile(string schema, string what, Func<string, string> schemaToGrammar)
    {
        JsonSchemaSupport.CheckBounds(schema);
        try
        {
            return schemaToGrammar(schema);
        }
        catch (LlamaException exception)
        {
            throw new EngineException(EngineError.InvalidRequest, $"{what} cannot be enforced: {exception.Message}", exception);
        }
    }

    public static EngineException NotWithoutShim(string what) => new(
        EngineError.NotSupported, $"{what} needs the chat shim, which is not installed beside the llama.cpp libraries; ./fleet doctor says what it lacks.");

    private static IReadOnlyList<int> Continued(GenerationRequest request, IPromptVocabulary vocabulary) =>
        request.ContinueFrom.Length == 0 ? [] : vocabulary.TokenizeContinuation(request.ContinueFrom);
}
