using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Models;

/// <summary>A generator on llama.cpp: one context, one cache of equal slots. Owns the model it is given.</summary>
internal sealed class LlamaModelRunner : IModelRunner
{
    private readonly SafeLlamaModel _model;
    private readonly SafeLlamaContext _context;
    private readonly LlamaBatch _batch;

    public LlamaModelRunner(SafeLlamaModel model, LlamaContextSettings settings, string? template)
    {
        _model = model;
        _context = SafeLlamaContext.Create(model, settings);
        _batch = new LlamaBatch(_context.BatchTokens);
        Slots = settings.Sequences;
        Vocabulary = new LlamaVocabulary(model, template);
    }

    public IVocabulary Vocabulary { get; }

    public int Slots { get; }

    public int ContextTokens => _context.TokensPerSequence;

    public int BatchTokens => _context.BatchTokens;

    public DecodeStatus Decode(BatchPlan plan)
    {
        _batch.Clear();
        foreach (var share in plan.Shares)
        {
            for (var i = 0; i < share.Count; i++)
                _batch.Add(share.Token(i), share.Sequence.ComputedTokens + i, share.Sequence.SequenceId, share.Output(i));
        }

        return _context.Decode(_batch);
    }

    public ReadOnlySpan<float> Logits(int batchIndex) => _context.Logits(batchIndex);

    public void Clear(int slot) => _context.Clear(slot);

    public int CachedTokens(int slot) => _context.CachedTokens(slot);

    public void Dispose()
    {
        _batch.Dispose();
        _context.Dispose();
        _model.Dispose();
    }
}
