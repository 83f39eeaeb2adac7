using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Fleet.Inference.Native;

internal enum DecodeStatus
{
    Done,

    /// <summary>A sequence had no cell left; nothing was computed.</summary>
    NoRoom,

    /// <summary>Took longer than allowed or was told to stop. Part of the batch may be in the cache: cut every sequence back before going on.</summary>
    Aborted,
    Failed,
}

/// <summary>A LoRA adapter of the context's model at a scale; the handle is llama.cpp's.</summary>
internal readonly record struct LlamaAdapterUse(nint Adapter, float Scale);

/// <summary>
/// A model's working state with its attached thread pool. One caller at a time (the decode thread), <see cref="Abort"/> excepted; holds its
/// model. What would abort the process is checked here: batch size, sequence and token ids, ranges, rows without output.
/// </summary>
internal sealed unsafe class SafeLlamaContext : SafeHandleZeroOrMinusOneIsInvalid
{
    // llama.cpp's own limit; a unified cache takes any id below it, whatever number of sequences it was made for.
    private const int MaxSequenceIds = 256;

    private readonly SafeLlamaModel _model;
    private readonly nint _memory;
    private readonly Interruption* _interruption;
    private LlamaThreadPools? _pools;
    private LlamaAdapterUse[] _adapters = [];

    private SafeLlamaContext(nint context, SafeLlamaModel model, LlamaContextSettings settings)
        : base(ownsHandle: true)
    {
        var held = false;
        model.DangerousAddRef(ref held);
        _model = model;
        SetHandle(context);
        _memory = LlamaNative.llama_get_memory(this);
        Layout = settings.Embeddings ? KvLayout.Unified : settings.Layout;
        Cells = (int)LlamaNative.llama_n_ctx(this);
        SequenceIds = Layout == KvLayout.Unified && !settings.Embeddings && !model.HasRecurrentState ? MaxSequenceIds : settings.Sequences;
        CanShare = Layout == KvLayout.Unified && !settings.Embeddings && !model.HasRecurrentState;
        TokensPerSequence = settings.Embeddings ? settings.TokensPerSequence : TokensOfOne(settings);
        BatchTokens = (int)Math.Min(LlamaNative.llama_n_batch(this), settings.Embeddings ? LlamaNative.llama_n_ubatch(this) : uint.MaxValue);
        _pools = new LlamaThreadPools();
        Threads = settings.Threads;
        Attach(settings.Threads);

        _interruption = (Interruption*)NativeMemory.AllocZeroed((nuint)sizeof(Interruption));
        LlamaNative.llama_set_abort_callback(context, &OnNode, _interruption);
    }

    /// <summary>Positions one sequence may hold.</summary>
    public int TokensPerSequence { get; }

    public int BatchTokens { get; }

    /// <summary>Positions all sequences may hold together; those that share a cell count it once.</summary>
    public int Cells { get; }

    /// <summary>Ids from 0 up to this may be used.</summary>
    public int SequenceIds { get; }

    public KvLayout Layout { get; }

    /// <summary>Whether a part of a sequence can be given to another without computing or copying it.</summary>
    public bool CanShare { get; }

    /// <summary>Whether the end of a sequence can be cut off. Recurrent models keep one state only.</summary>
    public bool CanTrim => !_model.HasRecurrentState;

    public int Threads { get; private set; }

    public static SafeLlamaContext Create(SafeLlamaModel model, LlamaContextSettings settings)
    {
        Check(settings);
        var parameters = LlamaNative.llama_context_default_params();
        parameters.n_ctx = (uint)(settings.Embeddings ? settings.BatchTokens : settings.Cells > 0 ? settings.Cells : settings.TokensPerSequence * settings.Sequences);
        parameters.n_batch = (uint)settings.BatchTokens;
        parameters.n_ubatch = settings.Embeddings ? parameters.n_batch
            : Math.Min(settings.MicroBatchTokens > 0 ? (uint)settings.MicroBatchTokens : parameters.n_ubatch, parameters.n_batch);
        parameters.n_seq_max = (uint)settings.Sequences;
        parameters.n_threads = settings.Threads;
        parameters.n_threads_batch = settings.Threads;
        parameters.embeddings = settings.Embeddings;
        parameters.kv_unified = settings.Embeddings || settings.Layout == KvLayout.Unified;
        parameters.type_k = (int)settings.KeyType;
        parameters.type_v = (int)settings.ValueType;
        parameters.flash_attn_type = (int)settings.FlashAttention;
        parameters.offload_kqv = settings.OffloadKqv;
        parameters.no_perf = true;

        LlamaLog.TakeLastError();
        var context = LlamaNative.llama_init_from_model(model, parameters);
        return context != 0
            ? new SafeLlamaContext(context, model, settings)
            : throw new LlamaException(LlamaLog.TakeLastError() ?? "llama.cpp could not create a context.");
    }

    /// <param name="limit">The step is aborted when it takes longer; <see cref="Timeout.InfiniteTimeSpan"/> = never.</param>
    public DecodeStatus Decode(LlamaBatch batch, TimeSpan limit)
    {
        if (batch.Count == 0 || batch.Count > BatchTokens)
            throw new ArgumentOutOfRangeException(nameof(batch), $"A batch holds 1 to {BatchTokens} tokens, not {batch.Count}.");
        batch.Check(_model.VocabularySize, SequenceIds);

        _interruption->Deadline = limit == Timeout.InfiniteTimeSpan ? long.MaxValue : Stopwatch.GetTimestamp() + (long)(limit.TotalSeconds * Stopwatch.Frequency);
        return LlamaNative.llama_decode(this, batch.Native) switch
        {
            0 => DecodeStatus.Done,
            1 => DecodeStatus.NoRoom,
            2 => DecodeStatus.Aborted,
            _ => DecodeStatus.Failed,
        };
    }

    public DecodeStatus Decode(LlamaBatch batch) => Decode(batch, Timeout.InfiniteTimeSpan);

    /// <summary>Ends a running decode, and all later ones, at the next node of the graph. Any thread, while the context lives.</summary>
    public void Abort() => Volatile.Write(ref _interruption->Aborted, 1);

    /// <summary>The row of a batch entry that asked for output; valid until the next decode.</summary>
    public ReadOnlySpan<float> Logits(int index)
    {
        var row = LlamaNative.llama_get_logits_ith(this, index);
        return row is not null ? new ReadOnlySpan<float>(row, _model.VocabularySize) : throw new LlamaException($"Batch entry {index} has no logits.");
    }

    /// <summary>How the vectors of a sequence's tokens become one.</summary>
    public PoolingType Pooling => (PoolingType)LlamaNative.llama_pooling_type(this);

    /// <summary>What a sequence was pooled to: its embedding, not yet normalised, or the classification head's outputs. Valid until the next decode.</summary>
    public ReadOnlySpan<float> Pooled(int sequence)
    {
        CheckSequence(sequence);
        var row = LlamaNative.llama_get_embeddings_seq(this, sequence);
        var width = Pooling == PoolingType.Rank ? _model.ClassifierOutputs : _model.EmbeddingWidth;
        return row is not null ? new ReadOnlySpan<float>(row, width) : throw new LlamaException("The model pooled nothing.");
    }

    /// <summary>Threads of later decodes. Cheap: pools of each size are kept and sleep while another is in use.</summary>
    public void SetThreads(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        if (threads == Threads)
            return;

        Threads = threads;
        LlamaNative.llama_set_n_threads(this, threads, threads);
        Attach(threads);
    }

    /// <summary>The adapters of later decodes, all sequences alike. Changing them makes the next decode build its graph anew.</summary>
    public void SetAdapters(ReadOnlySpan<LlamaAdapterUse> adapters)
    {
        if (adapters.SequenceEqual(_adapters))
            return;

        var handles = new nint[adapters.Length];
        var scales = new float[adapters.Length];
        for (var i = 0; i < adapters.Length; i++)
        {
            (handles[i], scales[i]) = adapters[i];
            if (handles[i] == 0 || !float.IsFinite(scales[i]))
                throw new ArgumentException("An adapter is not loaded or its scale is no number.", nameof(adapters));
        }

        fixed (nint* handle = handles)
        fixed (float* scale = scales)
        {
            if (LlamaNative.llama_set_adapters_lora(this, handle, (nuint)handles.Length, scale) != 0)
                throw new LlamaException("The adapters do not fit this model.");
        }

        _adapters = adapters.ToArray();
    }

    /// <summary>Forgets everything a sequence has computed.</summary>
    public void Clear(int sequence)
    {
        CheckSequence(sequence);
        if (_memory != 0)
            LlamaNative.llama_memory_seq_rm(_memory, sequence, -1, -1);
    }

    /// <summary>Forgets a sequence from a position on. False when the model cannot forget a part; then nothing has changed.</summary>
    public bool Trim(int sequence, int from)
    {
        CheckSequence(sequence);
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        if (_memory == 0 || from >= CachedTokens(sequence))
            return true;
        return LlamaNative.llama_memory_seq_rm(_memory, sequence, from, -1);
    }

    /// <summary>
    /// Gives an empty sequence the first positions of another. Unified: the cells belong to both. Separate: the values are copied whole and
    /// the rest is cut off, for a partial copy between separate parts would abort the process.
    /// </summary>
    public void Copy(int source, int target, int tokens)
    {
        CheckSequence(source);
        CheckSequence(target);
        ArgumentOutOfRangeException.ThrowIfEqual(source, target);
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, CachedTokens(source));
        if (CachedTokens(target) != 0)
            throw new InvalidOperationException($"Sequence {target} is not empty.");

        if (CanShare)
        {
            LlamaNative.llama_memory_seq_cp(_memory, source, target, 0, tokens);
            return;
        }

        if (!CanTrim && tokens != CachedTokens(source))
            throw new InvalidOperationException("A recurrent model's sequence can only be copied whole.");
        LlamaNative.llama_memory_seq_cp(_memory, source, target, -1, -1);
        Trim(target, tokens);
    }

    /// <summary>Positions a sequence holds in the cache.</summary>
    public int CachedTokens(int sequence)
    {
        CheckSequence(sequence);
        return _memory == 0 ? 0 : LlamaNative.llama_memory_seq_pos_max(_memory, sequence) + 1;
    }

    public void ClearAll()
    {
        // Encoders have no memory.
        if (_memory != 0)
            LlamaNative.llama_memory_clear(_memory, data: false);
    }

    /// <summary>
    /// A sequence's keys and values as bytes. They load into any sequence of a context of the same model with the same layout, number of
    /// separate parts, types and flash attention.
    /// </summary>
    public byte[] SaveState(int sequence)
    {
        CheckSequence(sequence);
        var state = GC.AllocateUninitializedArray<byte>(checked((int)LlamaNative.llama_state_seq_get_size(this, sequence)));
        fixed (byte* bytes = state)
        {
            var written = LlamaNative.llama_state_seq_get_data(this, bytes, (nuint)state.Length, sequence);
            return written == (nuint)state.Length ? state : throw new LlamaException(LlamaLog.TakeLastError() ?? "The sequence's state could not be read.");
        }
    }

    /// <summary>
    /// Fills an empty sequence from <see cref="SaveState"/>'s bytes. They must be known to be whole (a checksum): llama.cpp refuses what is
    /// too short or of another shape, and cannot see what else is wrong. False: refused, the sequence is empty.
    /// </summary>
    /// <param name="tokens">Positions the state must hold.</param>
    public bool LoadState(int sequence, ReadOnlySpan<byte> state, int tokens)
    {
        CheckSequence(sequence);
        if (CachedTokens(sequence) != 0)
            throw new InvalidOperationException($"Sequence {sequence} is not empty.");

        nuint read;
        fixed (byte* bytes = state)
            read = bytes is null ? 0 : LlamaNative.llama_state_seq_set_data(this, bytes, (nuint)state.Length, sequence);
        if (read != 0 && CachedTokens(sequence) == tokens)
            return true;

        Clear(sequence);
        return false;
    }

    protected override bool ReleaseHandle()
    {
        LlamaNative.llama_detach_threadpool(handle);
        LlamaNative.llama_free(handle);
        _pools?.Free();
        _pools = null;
        NativeMemory.Free(_interruption);
        _model.DangerousRelease();
        return true;
    }

    private static void Check(LlamaContextSettings settings)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.TokensPerSequence, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.Sequences, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(settings.Sequences, MaxSequenceIds);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.BatchTokens, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.Threads, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(settings.Cells);
        ArgumentOutOfRangeException.ThrowIfNegative(settings.MicroBatchTokens);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)settings.TokensPerSequence * settings.Sequences, int.MaxValue);
    }

    private static int RoundUp(int tokens) => (tokens + 255) / 256 * 256;

    // A unified context could give one sequence every cell; what was asked for still is the limit.
    private int TokensOfOne(LlamaContextSettings settings)
    {
        var possible = (int)LlamaNative.llama_n_ctx_seq(this);
        return Layout == KvLayout.Unified ? Math.Min(possible, RoundUp(settings.TokensPerSequence)) : possible;
    }

    private void CheckSequence(int sequence)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sequence);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sequence, SequenceIds);
    }

    private void Attach(int threads)
    {
        var pool = _pools!.OfSize(threads);
        if (pool != 0)
            LlamaNative.llama_attach_threadpool(handle, pool, pool);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte OnNode(void* data)
    {
        // Once per node of the graph: two reads and the clock, some tens of nanoseconds.
        var interruption = (Interruption*)data;
        return Volatile.Read(ref interruption->Aborted) != 0 || Stopwatch.GetTimestamp() > interruption->Deadline ? (byte)1 : (byte)0;
    }

    private struct Interruption
    {
        public int Aborted;
        public long Deadline;
    }
}
