using Microsoft.Win32.SafeHandles;

namespace Fleet.Inference.Native;

/// <summary>How a context is to be made; sizes are asked for, read back what was given.</summary>
internal sealed record LlamaContextSettings
{
    /// <summary>Positions per sequence; llama.cpp rounds up to 256.</summary>
    public required int TokensPerSequence { get; init; }

    public required int Sequences { get; init; }

    public required int BatchTokens { get; init; }

    public required int Threads { get; init; }

    /// <summary>Pooled embeddings instead of logits; the cache is then one for all sequences.</summary>
    public bool Embeddings { get; init; }
}

internal enum DecodeStatus
{
    Done,

    /// <summary>A sequence had no cell left; nothing was computed.</summary>
    NoRoom,
    Failed,
}

/// <summary>
/// A model's working state with its attached thread pool. One caller at a time (the decode thread); holds its model. What would abort the
/// process is checked here: batch size, sequence and token ids, rows without output.
/// </summary>
internal sealed unsafe class SafeLlamaContext : SafeHandleZeroOrMinusOneIsInvalid
{
    private readonly SafeLlamaModel _model;
    private readonly nint _memory;
    private readonly int _sequences;
    private nint _threadPool;

    private SafeLlamaContext(nint context, SafeLlamaModel model, LlamaContextSettings settings)
        : base(ownsHandle: true)
    {
        var held = false;
        model.DangerousAddRef(ref held);
        _model = model;
        SetHandle(context);
        _memory = LlamaNative.llama_get_memory(this);
        _sequences = settings.Sequences;
        TokensPerSequence = settings.Embeddings ? settings.TokensPerSequence : (int)LlamaNative.llama_n_ctx_seq(this);
        BatchTokens = (int)Math.Min(LlamaNative.llama_n_batch(this), settings.Embeddings ? LlamaNative.llama_n_ubatch(this) : uint.MaxValue);
        _threadPool = LlamaThreadPool.Create(settings.Threads);
        if (_threadPool != 0)
            LlamaNative.llama_attach_threadpool(context, _threadPool, _threadPool);
    }

    public int TokensPerSequence { get; }

    public int BatchTokens { get; }

    public static SafeLlamaContext Create(SafeLlamaModel model, LlamaContextSettings settings)
    {
        var parameters = LlamaNative.llama_context_default_params();
        parameters.n_ctx = (uint)(settings.Embeddings ? settings.BatchTokens : settings.TokensPerSequence * settings.Sequences);
        parameters.n_batch = (uint)settings.BatchTokens;
        parameters.n_ubatch = settings.Embeddings ? parameters.n_batch : Math.Min(parameters.n_ubatch, parameters.n_batch);
        parameters.n_seq_max = (uint)settings.Sequences;
        parameters.n_threads = settings.Threads;
        parameters.n_threads_batch = settings.Threads;
        parameters.embeddings = settings.Embeddings;

        // Separate caches keep each sequence's result independent of the others (as far as the kernels allow).
        parameters.kv_unified = settings.Embeddings;

        LlamaLog.TakeLastError();
        var context = LlamaNative.llama_init_from_model(model, parameters);
        return context != 0
            ? new SafeLlamaContext(context, model, settings)
            : throw new LlamaException(LlamaLog.TakeLastError() ?? "llama.cpp could not create a context.");
    }

    public DecodeStatus Decode(LlamaBatch batch)
    {
        if (batch.Count == 0 || batch.Count > BatchTokens)
            throw new ArgumentOutOfRangeException(nameof(batch), $"A batch holds 1 to {BatchTokens} tokens, not {batch.Count}.");
        batch.Check(_model.VocabularySize, _sequences);

        return LlamaNative.llama_decode(this, batch.Native) switch
        {
            0 => DecodeStatus.Done,
            1 => DecodeStatus.NoRoom,
            _ => DecodeStatus.Failed,
        };
    }

    /// <summary>The row of a batch entry that asked for output; valid until the next decode.</summary>
    public ReadOnlySpan<float> Logits(int index)
    {
        var row = LlamaNative.llama_get_logits_ith(this, index);
        return row is not null ? new ReadOnlySpan<float>(row, _model.VocabularySize) : throw new LlamaException($"Batch entry {index} has no logits.");
    }

    /// <summary>The pooled, not yet normalised embedding of a sequence; valid until the next decode.</summary>
    public ReadOnlySpan<float> Embedding(int sequence)
    {
        var row = LlamaNative.llama_get_embeddings_seq(this, sequence);
        return row is not null ? new ReadOnlySpan<float>(row, _model.EmbeddingWidth) : throw new LlamaException("The model gave no embedding.");
    }

    /// <summary>Forgets everything a sequence has computed.</summary>
    public void Clear(int sequence)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sequence);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sequence, _sequences);
        if (_memory != 0)
            LlamaNative.llama_memory_seq_rm(_memory, sequence, -1, -1);
    }

    /// <summary>Positions a sequence holds in the cache.</summary>
    public int CachedTokens(int sequence)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sequence);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sequence, _sequences);
        return _memory == 0 ? 0 : LlamaNative.llama_memory_seq_pos_max(_memory, sequence) + 1;
    }

    public void ClearAll()
    {
        // Encoders have no memory.
        if (_memory != 0)
            LlamaNative.llama_memory_clear(_memory, data: false);
    }

    protected override bool ReleaseHandle()
    {
        if (_threadPool != 0)
            LlamaNative.llama_detach_threadpool(handle);
        LlamaNative.llama_free(handle);
        LlamaThreadPool.Free(_threadPool);
        _threadPool = 0;
        _model.DangerousRelease();
        return true;
    }
}
