namespace Fleet.Inference.Native;

/// <summary>llama.cpp refused something; the message carries what it logged about it, if anything.</summary>
internal sealed class LlamaException(string message, Exception? inner = null) : Exception(message, inner);
