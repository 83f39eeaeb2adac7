using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Models;

namespace Fleet.Inference.Engine;

/// <summary>Text and chat through a vocabulary's own template, without tools, schemas or reasoning: what remains without the shim.</summary>
internal sealed class PlainPromptFormat(IVocabulary vocabulary) : IPromptFormat
{
    public FormatCapabilities Capabilities { get; } = new(Tools: false, Reasoning: false, JsonSchema: false, Grammar: false);

    public PreparedPrompt Prepare(GenerationRequest request) => new()
    {
        Tokens = request.PromptTokens.Count > 0 ? request.PromptTokens
            : request.Messages.Count > 0 ? vocabulary.TokenizeChat(request.Messages, request.ContinueFrom)
            : vocabulary.TokenizePrompt(request.Prompt, request.ContinueFrom),
        Parser = new PlainReplyParser(),
    };
}
