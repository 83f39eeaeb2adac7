namespace Fleet.Inference.Engine.Chat;

/// <summary>
/// The formats llama.cpp's C function knows by name, for machines without the chat shim: messages, JSON mode and grammars; no tools, no
/// reasoning, no schemas.
/// </summary>
/// <param name="apply">Writes roles and contents as the model's template would, ready for the assistant's turn; null when it cannot.</param>
internal sealed class BuiltInPromptFormat(IPromptVocabulary vocabulary, Func<IReadOnlyList<(string Role, string Content)>, string?> apply) : IPromptFormat
{
    public FormatCapabilities Capabilities { get; } = new(Tools: false, Reasoning: false, JsonSchema: false, Grammar: true);

    public PreparedPrompt Prepare(GenerationRequest request)
    {
        if (request.Tools.Count > 0 && request.ToolChoice.Mode != ToolChoiceMode.None)
            throw RawPrompt.NotWithoutShim("Tool calling");
        if (request.Messages.Any(message => message.ToolCalls.Count > 0 || message.Role == ChatRole.Tool))
            throw RawPrompt.NotWithoutShim("A conversation with tool calls");
        if (request.TemplateArguments.Count > 0)
            throw RawPrompt.NotWithoutShim("Template arguments");
        if (request.PromptTokens.Count > 0 || request.Prompt.Length > 0)
            return RawPrompt.Prepare(request, vocabulary, schemaToGrammar: null);

        var grammar = RawPrompt.Grammar(request.ResponseFormat, schemaToGrammar: null);
        var real = Apply(text => text) ?? throw new EngineException(EngineError.NotSupported, "The model's chat template cannot be applied.");
        var segments = SafePrompt.Cut(
            vocabulary.ControlTexts, real, [() => Apply(text => UserTextMarks.Mark(text, vocabulary.ControlTexts))], () => Apply(vocabulary.ControlTexts.Break)!);
        if (request.ContinueFrom.Length > 0)
            segments = [.. segments, new PromptSegment(request.ContinueFrom, ControlTokens: false)];
        return new PreparedPrompt { Tokens = vocabulary.Tokenize(segments), Grammar = grammar, Parser = new PlainReplyParser() };

        // The C function reads to the first zero byte.
        string? Apply(Func<string, string> form) => apply(
            [.. request.Messages.Select(message => (RoleName(message.Role), form(message.Content.Replace('\0', '\uFFFD'))))]);
    }

    private static string RoleName(ChatRole role) => role switch
    {
        ChatRole.System => "system",
        ChatRole.Assistant => "assistant",
        _ => "user",
    };
}
