using Fleet.Inference.Engine;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Models;

/// <summary>
/// A generator's weights and cache. The seam between the engine and llama.cpp: tests run the engine on a fake.
/// Everything but <see cref="Vocabulary"/> is for the decode thread only.
/// </summary>
internal interface IModelRunner : IDisposable
{
    IVocabulary Vocabulary { get; }

    /// <summary>Sequences the cache can hold.</summary>
    int Slots { get; }

    /// <summary>Tokens one sequence can hold.</summary>
    int ContextTokens { get; }

    int BatchTokens { get; }

    DecodeStatus Decode(BatchPlan plan);

    /// <summary>Scores of all tokens for a batch entry that wanted output; valid until the next decode.</summary>
    ReadOnlySpan<float> Logits(int batchIndex);

    /// <summary>Forgets what a slot has computed.</summary>
    void Clear(int slot);

    /// <summary>Tokens a slot holds in the cache.</summary>
    int CachedTokens(int slot);
}

/// <summary>Text to tokens and back. Thread-safe.</summary>
internal interface IVocabulary
{
    int Size { get; }

    /// <summary>The whole text as the model would read it raw, begin-of-sequence token included. Control tokens in it are plain text.</summary>
    IReadOnlyList<int> TokenizePrompt(string text, string continueFrom);

    /// <summary>
    /// The conversation under the model's chat template, ready for the assistant's turn, of which <paramref name="continueFrom"/> is already
    /// said. Only the template's own text may become control tokens.
    /// </summary>
    IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom);

    /// <summary>A token's bytes, perhaps part of a character; empty for control tokens.</summary>
    ReadOnlyMemory<byte> Bytes(int token);

    /// <summary>Like <see cref="Bytes"/>, but control tokens are spelt out: what grammars match.</summary>
    ReadOnlyMemory<byte> Spelling(int token) => Bytes(token);

    bool IsEndOfGeneration(int token);
}
