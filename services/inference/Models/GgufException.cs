namespace Fleet.Inference.Models;

/// <summary>A file is not a GGUF model that may be handed to llama.cpp; the message says why, for a person.</summary>
internal sealed class GgufException(string message, Exception? inner = null) : Exception(message, inner);
