using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Engine;

/// <summary>
/// Spells out a fixed text, byte by byte; token 256 ends the reply. Keeps cells as llama.cpp does and refuses what it would refuse: positions
/// that do not follow, copies onto something, more cells than there are.
/// </summary>
internal sealed class FakeModelRunner(string reply) : IModelRunner, IVocabulary
{
    private const int End = 256;

    private readonly byte[] _reply = Encoding.UTF8.GetBytes(reply);
    private readonly float[] _logits = new float[End + 1];
    private readonly Dictionary<int, int> _holders = [];
    private readonly Lock _lock = new();
    private List<int>[] _sequences = [.. Enumerable.Range(0, 12).Select(_ => new List<int>())];
    private BatchPlan? _plan;
    private int _nextCell;

    /// <summary>What the next decodes return; done when there is nothing.</summary>
    public Func<BatchPlan, DecodeStatus>? Outcome { get; set; }

    public Action<BatchPlan>? BeforeDecode { get; set; }

    public int Decodes { get; private set; }

    public int MostCells { get; private set; }

    public List<int> Threads { get; } = [];

    public List<bool> Rebuilds { get; } = [];

    public bool Disposed { get; private set; }

    public HashSet<string> Adapters { get; } = [];

    public List<string> AdaptersUsed { get; } = [];

    public IVocabulary Vocabulary => this;

    public int MaxRunning { get; init; } = 3;

    public int ContextTokens { get; init; } = 64;

    public int BatchTokens { get; init; } = 7;

    public int Cells { get; init; } = 192;

    public int Sequences => Unified ? 12 : MaxRunning;

    public bool Unified { get; private set; } = true;

    public bool CanShare { get; init; } = true;

    public string StateIdentity => "fake";

    public int Size => End + 1;

    public int CellsUsed
    {
        get
        {
            lock (_lock)
                return _holders.Count;
        }
    }

    public DecodeStatus Decode(BatchPlan plan, TimeSpan limit)
    {
        _plan = plan;
        BeforeDecode?.Invoke(plan);
        var status = Outcome?.Invoke(plan) ?? DecodeStatus.Done;
        if (status != DecodeStatus.Done)
            return status;

        Decodes++;
        lock (_lock)
        {
            foreach (var share in plan.Shares)
            {
                var cells = _sequences[share.Sequence.SequenceId];
                Assert.Equal(cells.Count, share.Sequence.ComputedTokens);
                for (var i = 0; i < share.Count; i++)
                {
                    _holders[_nextCell] = 1;
                    cells.Add(_nextCell++);
                }

                Assert.True(cells.Count <= ContextTokens);
            }

            MostCells = Math.Max(MostCells, _holders.Count);
            Assert.True(_holders.Count <= Cells, "more cells than there are");
        }

        return status;
    }

    public ReadOnlySpan<float> Logits(int batchIndex)
    {
        foreach (var share in _plan!.Shares)
        {
            var row = batchIndex - share.OutputIndex;
            if (share.OutputIndex < 0 || row < 0 || row >= share.Outputs)
                continue;

            // The first row's sequence has not grown yet; every further row comes after one more token was taken.
            var at = share.Sequence.GeneratedTokens;
            Array.Clear(_logits);
            _logits[at < _reply.Length ? _reply[at] : End] = 1;
            return _logits;
        }

        throw new LlamaException($"Batch entry {batchIndex} has no logits.");
    }

    public void SetThreads(int threads) => Threads.Add(threads);

    public void UseAdapters(IReadOnlyList<AdapterChoice> adapters) => AdaptersUsed.Add(string.Join('+', adapters.Select(adapter => adapter.Id)));

    public bool HasAdapter(string id) => Adapters.Contains(id);

    public void Abort()
    {
    }

    public bool Rebuild(bool unified)
    {
        lock (_lock)
        {
            Rebuilds.Add(unified);
            Unified = unified;
            _holders.Clear();
            _sequences = [.. Enumerable.Range(0, 12).Select(_ => new List<int>())];
            return true;
        }
    }

    public byte[] SaveState(int sequence)
    {
        lock (_lock)
            return [.. _sequences[sequence].Select(_ => (byte)1)];
    }

    public bool LoadState(int sequence, ReadOnlySpan<byte> state, int tokens)
    {
        lock (_lock)
        {
            Assert.Empty(_sequences[sequence]);
            if (state.Length != tokens)
                return false;
            for (var i = 0; i < tokens; i++)
            {
                _holders[_nextCell] = 1;
                _sequences[sequence].Add(_nextCell++);
            }

            return true;
        }
    }

    public void Share(int source, int target, int count)
    {
        lock (_lock)
        {
            Assert.Empty(_sequences[target]);
            Assert.True(count <= _sequences[source].Count);
            foreach (var cell in _sequences[source].Take(count))
            {
                var own = Unified ? cell : _nextCell++;
                _holders[own] = _holders.GetValueOrDefault(own) + 1;
                _sequences[target].Add(own);
            }
        }
    }

    public void Truncate(int sequence, int count)
    {
        lock (_lock)
        {
            foreach (var cell in _sequences[sequence].Skip(count))
            {
                if (--_holders[cell] == 0)
                    _holders.Remove(cell);
            }

            if (_sequences[sequence].Count > count)
                _sequences[sequence].RemoveRange(count, _sequences[sequence].Count - count);
        }
    }

    public IReadOnlyList<int> TokenizePrompt(string text, string continueFrom) => [.. Encoding.UTF8.GetBytes(text + continueFrom)];

    public IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom) =>
        TokenizePrompt(string.Join('\n', messages.Select(message => message.Content)), continueFrom);

    public ReadOnlyMemory<byte> Bytes(int token) => token == End ? ReadOnlyMemory<byte>.Empty : new[] { (byte)token };

    public bool IsEndOfGeneration(int token) => token == End;

    public void Dispose() => Disposed = true;
}
