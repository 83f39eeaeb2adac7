using System.Text.Json;
using System.Text.RegularExpressions;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Native;

namespace Fleet.Inference.Engine.Chat;

/// <summary>
/// A model's own chat template, run by llama.cpp's chat library: tools, reasoning and structured answers in the model's own format, and a
/// parser for what comes back.
/// </summary>
/// <param name="schemaToGrammar">JSON Schema to GBNF, for prompts without a template.</param>
internal sealed partial class JinjaPromptFormat(IPromptVocabulary vocabulary, IChatTemplates templates, Func<string, string> schemaToGrammar) : IPromptFormat, IDisposable
{
    // What the template's own variables are called: a caller's argument must not replace the conversation.
    private static readonly string[] Reserved = ["messages", "tools", "bos_token", "eos_token", "add_generation_prompt"];

    // Deeper JSON would recurse as deep in native code; .NET's own limit is the same.
    private static readonly JsonDocumentOptions Depth = new() { MaxDepth = 64 };

    // A name that is there twice would mean different things to different readers.
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    // llama.cpp lets an answer stand in a Markdown fence and takes the fence off when the reply is whole; who reads a stream would see it.
    private const string FencedAnswer = "\"```json\" space response-format space \"```\" | ";

    private readonly UserTextForm _marked = new(text => UserTextMarks.Mark(text, vocabulary.ControlTexts));
    private readonly UserTextForm _broken = new(vocabulary.ControlTexts.Break);

    public FormatCapabilities Capabilities { get; } =
        new(templates.Description.Tools, templates.Description.Thinking, JsonSchema: true, Grammar: true);

    public PreparedPrompt Prepare(GenerationRequest request)
    {
        Check(request);
        if (request.PromptTokens.Count > 0 || request.Prompt.Length > 0)
            return RawPrompt.Prepare(request, vocabulary, schemaToGrammar);

        IReadOnlyList<Tool> tools = request.ToolChoice.Name is { Length: > 0 } only
            ? [.. request.Tools.Where(tool => tool.Name == only)]
            : request.Tools;
        var schema = request.ResponseFormat.Kind switch
        {
            ResponseFormatKind.JsonObject => RawPrompt.AnyObjectSchema,
            ResponseFormatKind.JsonSchema => RawPrompt.SchemaOf(request.ResponseFormat.Definition),
            _ => "",
        };

        var rendered = Render(UserTextForm.AsIs, promptOnly: false, withReader: true)!;
        try
        {
            if (request.ToolChoice.Mode == ToolChoiceMode.Required && tools.Count > 0 && rendered.Grammar.Length == 0)
                throw new EngineException(EngineError.NotSupported, "The model's format has no rule for tool calls, so one cannot be required of it.");

            var prompt = SafePrompt.Cut(
                vocabulary.ControlTexts,
                rendered.Prompt,
                [() => TryRender(_marked, promptOnly: true), () => TryRender(_marked, promptOnly: false)],
                () => Render(_broken, promptOnly: false, withReader: false)!.Prompt);
            var visible = rendered.PreservedTokens.Select(vocabulary.SingleToken).OfType<int>().ToHashSet();
            if (IsNothingButTheFormat(request, tools))
            {
                rendered.Reader?.Dispose();
                return new PreparedPrompt
                {
                    Tokens = vocabulary.Tokenize(prompt),
                    Grammar = RawPrompt.Grammar(request.ResponseFormat, schemaToGrammar),
                    Stops = rendered.Stops,
                    Parser = new PlainReplyParser(),
                };
            }

            return new PreparedPrompt
            {
                Tokens = vocabulary.Tokenize(prompt),
                Grammar = Grammar(request, rendered, visible),
                Stops = rendered.Stops,
                VisibleControlTokens = visible,
                Parser = new TemplateReplyParser(rendered.Reader!, rendered.Delimiters),
            };
        }
        catch
        {
            rendered.Reader?.Dispose();
            throw;
        }

        RenderedChat Render(UserTextForm form, bool promptOnly, bool withReader)
        {
            try
            {
                return templates.Render(ChatTemplateRequest.Write(request, tools, schema, form, promptOnly), withReader);
            }
            catch (LlamaException exception)
            {
                // Most often the template itself objects: roles that must alternate, a conversation without a user's message.
                throw new EngineException(EngineError.InvalidRequest, $"The model's chat template refuses this request: {exception.Message}", exception);
            }
        }

        string? TryRender(UserTextForm form, bool promptOnly)
        {
            try
            {
                return templates.Render(ChatTemplateRequest.Write(request, tools, schema, form, promptOnly), withReader: false).Prompt;
            }
            catch (LlamaException)
            {
                return null;
            }
        }
    }

    public void Dispose() => templates.Dispose();

    /// <summary>A structured answer without thoughts or calls around it: the format's own grammar says all there is to say.</summary>
    private bool IsNothingButTheFormat(GenerationRequest request, IReadOnlyList<Tool> tools) =>
        request.ResponseFormat.Kind is ResponseFormatKind.JsonObject or ResponseFormatKind.JsonSchema
        && (tools.Count == 0 || request.ToolChoice.Mode == ToolChoiceMode.None)
        && (!templates.Description.Thinking || request.Reasoning.Enabled == false || request.Reasoning.Effort == "none");

    private GrammarSpec? Grammar(GenerationRequest request, RenderedChat rendered, HashSet<int> visible)
    {
        if (request.ResponseFormat.Kind == ResponseFormatKind.Grammar)
            return new GrammarSpec { Gbnf = request.ResponseFormat.Definition };
        if (rendered.Grammar.Length == 0)
            return null;

        var patterns = new List<string>();
        var tokens = new List<int>();
        foreach (var trigger in rendered.Triggers)
        {
            switch (trigger.Kind)
            {
                case GrammarTriggerKind.Token:
                    tokens.Add(trigger.Token);
                    break;
                // A word that is one token of the format triggers as that token: text that only spells it does not.
                case GrammarTriggerKind.Word when vocabulary.SingleToken(trigger.Value) is { } token && visible.Contains(token):
                    tokens.Add(token);
                    break;
                case GrammarTriggerKind.Word:
                    patterns.Add(Special().Replace(trigger.Value, "\\$0"));
                    break;
                case GrammarTriggerKind.PatternFull:
                    patterns.Add($"^{trigger.Value.TrimStart('^').TrimEnd('$')}$");
                    break;
                default:
                    patterns.Add(trigger.Value);
                    break;
            }
        }

        return new GrammarSpec
        {
            Gbnf = rendered.Grammar.Replace(FencedAnswer, "", StringComparison.Ordinal),
            Lazy = rendered.GrammarLazy,
            TriggerPatterns = patterns,
            TriggerTokens = tokens,
            // A lazy grammar begins at its trigger, the others with the template's opening of the turn.
            Prefix = rendered.GrammarLazy ? "" : rendered.GenerationPrompt,
        };
    }

    // The characters with a meaning in every dialect of regular expressions.
    [GeneratedRegex(@"[.^$|()*+?\[\]{}\\]")]
    private static partial Regex Special();

    private void Check(GenerationRequest request)
    {
        if (request.Tools.Count > 0 && request.ToolChoice.Mode != ToolChoiceMode.None)
        {
            if (!Capabilities.Tools)
                throw new EngineException(EngineError.NotSupported, "The model's chat template has no tools.");
            if (request.ResponseFormat.Kind == ResponseFormatKind.Grammar)
                throw new EngineException(EngineError.InvalidRequest, "A grammar and tools cannot be asked for together.");
            if (request.ToolChoice.Name.Length > 0 && request.Tools.All(tool => tool.Name != request.ToolChoice.Name))
                throw new EngineException(EngineError.InvalidRequest, $"There is no tool named {request.ToolChoice.Name}.");
        }

        foreach (var tool in request.Tools)
            CheckTool(tool);
        foreach (var call in request.Messages.SelectMany(message => message.ToolCalls))
        {
            CheckName(call.Name);
            if (call.Arguments.Length > 0)
                CheckJson(call.Arguments, $"The arguments of an earlier call of {call.Name}", Depth);
        }

        foreach (var (name, value) in request.TemplateArguments)
        {
            if (Reserved.Contains(name))
                throw new EngineException(EngineError.InvalidRequest, $"The template argument {name} is the template's own.");
            CheckJson(value, $"The template argument {name}", Depth);
        }
    }

    private void CheckTool(Tool tool)
    {
        CheckName(tool.Name);
        if (tool.Parameters.Length == 0)
            return;
        if (CheckJson(tool.Parameters, $"The parameters of {tool.Name}", Strict) != JsonValueKind.Object)
            throw new EngineException(EngineError.InvalidRequest, $"The parameters of {tool.Name} are not a JSON object.");
        if (tool.Strict)
            JsonSchemaSupport.Check(tool.Parameters);
        RawPrompt.Compile(tool.Parameters, $"The parameters of {tool.Name}", schemaToGrammar);
    }

    // The border allows no more than this; here it also keeps names out of the grammar's and the template's own characters.
    private static void CheckName(string name)
    {
        if (name.Length is 0 or > 256 || !name.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '-' or '.' or ':' or '/'))
            throw new EngineException(EngineError.InvalidRequest, "A tool's name has 1 to 256 letters, digits, or any of _ - . : /");
    }

    private static JsonValueKind CheckJson(string json, string what, JsonDocumentOptions options)
    {
        try
        {
            using var document = JsonDocument.Parse(json, options);
            return document.RootElement.ValueKind;
        }
        catch (JsonException exception)
        {
            throw new EngineException(EngineError.InvalidRequest, $"{what} are not valid JSON of at most {options.MaxDepth} levels: {exception.Message}", exception);
        }
    }
}
