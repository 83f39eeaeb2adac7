using Fleet.Inference.Engine;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Models;

/// <summary>A generator on llama.cpp: one context and its cache. Owns the model it is given.</summary>
internal sealed class LlamaModelRunner : IModelRunner
{
    private readonly SafeLlamaModel _model;
    private readonly IReadOnlyDictionary<string, nint> _adapters;
    private readonly string _modelIdentity;
    private LlamaContextSettings _settings;
    private SafeLlamaContext _context;
    private LlamaBatch _batch;
    private IReadOnlyList<AdapterChoice> _used = [];

    /// <param name="adapters">Loaded LoRA adapters by id; they live as long as the model.</param>
    /// <param name="modelIdentity">Names the file's contents (path, size, time), for saved states; empty = they cannot be saved.</param>
    public LlamaModelRunner(
        SafeLlamaModel model, LlamaContextSettings settings, string? template, IReadOnlyDictionary<string, nint>? adapters = null, string modelIdentity = "")
    {
        (_model, _settings, _adapters, _modelIdentity) = (model, settings, adapters ?? new Dictionary<string, nint>(), modelIdentity);
        _context = SafeLlamaContext.Create(model, settings);
        _batch = new LlamaBatch(_context.BatchTokens);
        ContextTokens = _context.TokensPerSequence;
        Vocabulary = new LlamaVocabulary(model, template);
    }

    public IVocabulary Vocabulary { get; }

    public int MaxRunning => Math.Min(_settings.Sequences, _context.SequenceIds);

    // What the model and the first layout allow; a part of a separate cache may hold less, which the scheduler knows.
    public int ContextTokens { get; }

    public int BatchTokens => _context.BatchTokens;

    public bool CanShare => _context.CanTrim;

    public int Cells => _context.Cells;

    public int Sequences => _context.SequenceIds;

    public bool Unified => _context.Layout == KvLayout.Unified;

    public string StateIdentity => _modelIdentity.Length == 0
        ? ""
        : $"{_modelIdentity}|{NativeLibraries.PinnedVersion}|{_settings.KeyType}|{_settings.ValueType}|{_settings.FlashAttention}|{_settings.Layout}|{(Unified ? 1 : Sequences)}";

    public DecodeStatus Decode(BatchPlan plan, TimeSpan limit)
    {
        _batch.Clear();
        foreach (var share in plan.Shares)
        {
            var first = share.Sequence.ComputedTokens;
            for (var i = 0; i < share.Count; i++)
                _batch.Add(share.Token(i), first + i, share.Sequence.SequenceId, share.Output(i));
        }

        return _context.Decode(_batch, limit);
    }

    public ReadOnlySpan<float> Logits(int batchIndex) => _context.Logits(batchIndex);

    public void SetThreads(int threads) => _context.SetThreads(threads);

    public IReadOnlyList<string> AdapterIds => [.. _adapters.Keys];

    public bool HasAdapter(string id) => _adapters.ContainsKey(id);

    public void UseAdapters(IReadOnlyList<AdapterChoice> adapters)
    {
        if (ReferenceEquals(adapters, _used))
            return;
        _context.SetAdapters([.. adapters.Select(adapter => new LlamaAdapterUse(_adapters[adapter.Id], adapter.Scale))]);
        _used = adapters;
    }

    public void Share(int source, int target, int count) => _context.Copy(source, target, count);

    public void Truncate(int sequence, int count)
    {
        if (count == 0)
            _context.Clear(sequence);
        else
            _context.Trim(sequence, count);
    }

    /// <summary>Positions a sequence holds in the cache. While nothing is computed, for tests of what is left.</summary>
    public int CachedTokens(int sequence) => _context.CachedTokens(sequence);

    public void Abort() => _context.Abort();

    public bool Rebuild(bool unified)
    {
        var settings = _settings with { Layout = unified ? KvLayout.Unified : KvLayout.Separate };
        if (settings == _settings)
            return true;

        // One after the other: two caches at a time might be more than the memory holds.
        var threads = _context.Threads;
        _context.Dispose();
        try
        {
            _context = SafeLlamaContext.Create(_model, settings with { Threads = threads });
            _settings = settings;
            return true;
        }
        catch (LlamaException)
        {
            _context = SafeLlamaContext.Create(_model, _settings with { Threads = threads });
            return false;
        }
        finally
        {
            _batch.Dispose();
            _batch = new LlamaBatch(_context.BatchTokens);
            _used = [];
        }
    }

    public byte[] SaveState(int sequence) => _context.SaveState(sequence);

    public bool LoadState(int sequence, ReadOnlySpan<byte> state, int tokens) => _context.LoadState(sequence, state, tokens);

    public void Dispose()
    {
        _batch.Dispose();
        _context.Dispose();
        _model.Dispose();
    }
}
