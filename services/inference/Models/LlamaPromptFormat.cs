using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Native;
using Fleet.Inference.Native.Shim;

namespace Fleet.Inference.Models;

/// <summary>Chooses how a loaded model is talked to.</summary>
internal static partial class LlamaPromptFormat
{
    /// <summary>The model's own template where the chat shim can run it; else the format llama.cpp's C function knows it as.</summary>
    public static IPromptFormat Of(SafeLlamaModel model, LlamaVocabulary vocabulary, ChatShim shim, ILogger logger)
    {
        if (shim.Unavailable is not null)
            return vocabulary.BuiltInFormat();
        try
        {
            return new JinjaPromptFormat(vocabulary, SafeChatTemplates.Of(model), ChatShim.SchemaToGrammar);
        }
        catch (LlamaException exception)
        {
            Log.TemplateRefused(logger, exception.Message);
            return vocabulary.BuiltInFormat();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The model's chat template cannot be run, a built-in format takes its place: {Reason}")]
        public static partial void TemplateRefused(ILogger logger, string reason);
    }
}
