using System.ComponentModel.DataAnnotations;
using Fleet.Inference.Native;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Engine;

/// <summary>How a loaded generator works.</summary>
internal sealed class EngineOptions : IValidatableObject
{
    public const string SectionName = "Inference";

    /// <summary>Replies generated at a time per model. Default 8; cut at load when their caches would take over half of the memory.</summary>
    [Range(1, 256)]
    public int MaxSequences { get; set; } = 8;

    /// <summary>Requests that may wait per model; one more is refused with the numbers. Default 64.</summary>
    [Range(0, 100_000)]
    public int MaxQueuedRequests { get; set; } = 64;

    /// <summary>Tokens of context per reply, prompt included; never more than the model was trained for. 0 = all it was trained for. Default 4096.</summary>
    [Range(0, 1_048_576)]
    public int ContextTokens { get; set; } = 4096;

    /// <summary>Tokens one decode computes at most: bounds how long a step takes, and so how long cancelling takes. Default 512.</summary>
    [Range(16, 16_384)]
    public int BatchTokens { get; set; } = 512;

    /// <summary>
    /// Tokens of a batch computed by one run of the graph; 0 = up to 512. llama.cpp's attention on a processor looks at all cells for every token
    /// once a run has 64 or more, so that fewer may be faster when many private sequences share one cache.
    /// </summary>
    [Range(0, 16_384)]
    public int MicroBatchTokens { get; set; }

    /// <summary>
    /// Threads that compute at most; 0 = all cores for generators, which give them up while others need them, and all but one for the rest.
    /// More than there are free cores is far slower, not faster.
    /// </summary>
    [Range(0, 1024)]
    public int Threads { get; set; }

    /// <summary>Layers to put on a GPU when the libraries have one; -1 = all.</summary>
    [Range(-1, 10_000)]
    public int GpuLayers { get; set; } = -1;

    /// <summary>One cache for all sequences, so that they share prefixes, or a part for each; null = what the recent requests ask for.</summary>
    public KvLayout? KvLayout { get; set; }

    /// <summary>Keeps what finished requests computed for later ones with the same beginning (of the same tenant), and shares it among running ones. Default true.</summary>
    public bool SharePrefixes { get; set; } = true;

    /// <summary>
    /// Cells of a unified cache that prefixes nobody is using may keep: attention walks over them too. What is more waits in ordinary memory
    /// (<see cref="ParkedPrefixBytes"/>). Default 1024.
    /// </summary>
    [Range(0, int.MaxValue)]
    public int IdleCells { get; set; } = 1024;

    /// <summary>Memory per model for prefixes outside the cache, least recently used first out; 0 = they are forgotten. Default 512 MiB.</summary>
    [Range(0, long.MaxValue)]
    public long ParkedPrefixBytes { get; set; } = 512L << 20;

    /// <summary>Guesses tokens from the conversation's own text while few replies run; the text does not change by it. Default true.</summary>
    public bool Speculation { get; set; } = true;

    /// <summary>How long prompts may make a step while replies are being read: the stall their readers see. Default 200 ms.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan MaxStep { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Folder for prefixes that many requests share (system prompts), so that a restart need not compute them again; empty = none are kept.</summary>
    public string PrefixDirectory { get; set; } = "";

    /// <summary>Bytes the folder may take; the least recently used go first. Default 1 GiB.</summary>
    [Range(0, long.MaxValue)]
    public long PrefixDirectoryBytes { get; set; } = 1L << 30;

    public int MaxDecodeThreads => Threads > 0 ? Threads : Environment.ProcessorCount;

    public int EffectiveThreads => Threads > 0 ? Threads : Math.Max(1, Environment.ProcessorCount - 1);

    /// <summary>For a model whose own options differ in places.</summary>
    public EngineOptions Copy() => (EngineOptions)MemberwiseClone();

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (BatchTokens <= MaxSequences)
            yield return new ValidationResult("BatchTokens must be larger than MaxSequences.", [nameof(BatchTokens)]);
    }
}

[OptionsValidator]
internal sealed partial class EngineOptionsValidator : IValidateOptions<EngineOptions>;
