using Fleet.Inference.Engine;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Models;

/// <summary>
/// A generator's weights and cache. The seam between the engine and llama.cpp: tests run the engine on a fake.
/// Everything but <see cref="Vocabulary"/>, <see cref="HasAdapter"/> and <see cref="Abort"/> is for the decode thread only.
/// </summary>
internal interface IModelRunner : IKvCache, IDisposable
{
    IVocabulary Vocabulary { get; }

    /// <summary>Sequences that are computed together.</summary>
    int MaxRunning { get; }

    /// <summary>Tokens one sequence may hold.</summary>
    int ContextTokens { get; }

    int BatchTokens { get; }

    /// <summary>Whether prefixes may be shared and kept, and ends cut off: not with models that keep a running state.</summary>
    bool CanShare { get; }

    /// <param name="limit">The step is aborted when it takes longer; infinite = never.</param>
    DecodeStatus Decode(BatchPlan plan, TimeSpan limit);

    /// <summary>Scores of all tokens for a batch entry that wanted output; valid until the next decode.</summary>
    ReadOnlySpan<float> Logits(int batchIndex);

    /// <summary>Threads of the next decodes.</summary>
    void SetThreads(int threads);

    /// <summary>The adapters of the next decodes.</summary>
    void UseAdapters(IReadOnlyList<AdapterChoice> adapters);

    bool HasAdapter(string id);

    /// <summary>The adapters there are. Any thread.</summary>
    IReadOnlyList<string> AdapterIds => [];

    /// <summary>Ends a running decode and all later ones. Any thread; not after the runner was disposed.</summary>
    void Abort();

    /// <summary>Makes the cache anew; everything in it is forgotten. False when that failed and nothing has changed.</summary>
    bool Rebuild(bool unified);

    /// <summary>Names everything a saved sequence depends on: the model file, the library, types and layout.</summary>
    string StateIdentity { get; }

    /// <summary>What a sequence holds, as bytes.</summary>
    byte[] SaveState(int sequence);

    /// <summary>Fills an empty sequence; false when the bytes do not fit, the sequence is then empty.</summary>
    bool LoadState(int sequence, ReadOnlySpan<byte> state, int tokens);
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
