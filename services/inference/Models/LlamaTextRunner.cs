using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Embedding;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// Pooled computation on llama.cpp. Most texts are computed in a small context, packed up to <see cref="BatchTokens"/>; one that is longer than this
/// context in another as long as the model allows, made when the first such text comes. So which arithmetic a text meets depends on its
/// own length only, not on its company. <see cref="Run"/> and disposal: the engine's thread only.
/// </summary>
internal sealed class LlamaTextRunner : ITextRunner
{
    /// <summary>Longer texts gain nothing from being computed whole, and attention over them costs quadratic time.</summary>
    public const int LongestText = 8192;

    // Without a cache attention looks at every pair in the batch, also of different texts. A processor pays for that more than it saves by
    // reading the weights once, which some hundred tokens already share; a GPU hardly notices.
    private const int PackedOnProcessor = 128;

    // Enough to fill a batch with search queries.
    private const int TextsTogether = 64;

    // Without flash attention a score is kept for every pair of tokens and head; up to here that is some megabytes, and exact: flash
    // attention rounds to half precision, differently for few rows and for many.
    private const int ExactUpTo = 1024;

    private readonly SafeLlamaModel _model;
    private readonly SafeLlamaContext _packed;
    private readonly int _threads;
    private readonly LlamaBatch _batch;
    private SafeLlamaContext? _long;
    private LlamaBatch? _longBatch;

    /// <param name="model">Belongs to the runner from here on, if this returns.</param>
    /// <param name="batchTokens">Most tokens of one decode, longer texts excepted.</param>
    /// <param name="onGpu">The weights are on a GPU.</param>
    public LlamaTextRunner(SafeLlamaModel model, int batchTokens, int threads, bool onGpu)
    {
        MaxTokens = Math.Min(model.TrainedContext, LongestText);
        BatchTokens = onGpu ? batchTokens : Math.Min(batchTokens, PackedOnProcessor);
        (_model, _threads) = (model, threads);
        _packed = Create(batchTokens, TextsTogether);
        _batch = new LlamaBatch(batchTokens);
    }

    public PoolingType Pooling => _packed.Pooling;

    public int MaxTokens { get; }

    public int BatchTokens { get; }

    public int BatchTexts => TextsTogether;

    public float[][] Run(IReadOnlyList<int[]> texts)
    {
        var (context, batch) = texts.Count == 1 && texts[0].Length > _packed.BatchTokens ? Long() : (_packed, _batch);
        batch.Clear();
        for (var sequence = 0; sequence < texts.Count; sequence++)
        {
            for (var position = 0; position < texts[sequence].Length; position++)
                batch.Add(texts[sequence][position], position, sequence, output: true);
        }

        try
        {
            if (context.Decode(batch) != DecodeStatus.Done)
                throw new EngineException(EngineError.Internal, "llama.cpp could not compute the text.");

            var outputs = new float[texts.Count][];
            for (var sequence = 0; sequence < outputs.Length; sequence++)
                outputs[sequence] = context.Pooled(sequence).ToArray();
            return outputs;
        }
        finally
        {
            // Decoders used as embedders fill a cache; encoders have none.
            context.ClearAll();
        }
    }

    public void Dispose()
    {
        _batch.Dispose();
        _packed.Dispose();
        _longBatch?.Dispose();
        _long?.Dispose();
        _model.Dispose();
    }

    private (SafeLlamaContext Context, LlamaBatch Batch) Long()
    {
        _long ??= Create(MaxTokens, sequences: 1);
        _longBatch ??= new LlamaBatch(MaxTokens);
        return (_long, _longBatch);
    }

    private SafeLlamaContext Create(int tokens, int sequences) => SafeLlamaContext.Create(_model, new LlamaContextSettings
    {
        TokensPerSequence = tokens,
        Sequences = sequences,
        BatchTokens = tokens,
        Threads = _threads,
        Embeddings = true,
        FlashAttention = tokens <= ExactUpTo ? Native.FlashAttention.Off : Native.FlashAttention.Auto,
    });
}
