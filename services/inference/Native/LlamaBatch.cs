using System.Runtime.InteropServices;

namespace Fleet.Inference.Native;

/// <summary>The tokens of one decode, in unmanaged memory that is reused. Decode thread only.</summary>
internal sealed unsafe class LlamaBatch : IDisposable
{
    private readonly int _capacity;
    private readonly int* _tokens;
    private readonly int* _positions;
    private readonly int* _sequenceCounts;
    private readonly int* _sequences;
    private readonly int** _sequenceLists;
    private readonly sbyte* _outputs;
    private bool _disposed;

    public LlamaBatch(int capacity)
    {
        _capacity = capacity;
        _tokens = (int*)NativeMemory.Alloc((nuint)capacity, sizeof(int));
        _positions = (int*)NativeMemory.Alloc((nuint)capacity, sizeof(int));
        _sequenceCounts = (int*)NativeMemory.Alloc((nuint)capacity, sizeof(int));
        _sequences = (int*)NativeMemory.Alloc((nuint)capacity, sizeof(int));
        _sequenceLists = (int**)NativeMemory.Alloc((nuint)capacity, (nuint)sizeof(int*));
        _outputs = (sbyte*)NativeMemory.Alloc((nuint)capacity);
        for (var i = 0; i < capacity; i++)
        {
            _sequenceCounts[i] = 1;
            _sequenceLists[i] = _sequences + i;
        }
    }

    ~LlamaBatch() => Free();

    public int Count { get; private set; }

    public llama_batch Native => new()
    {
        n_tokens = Count,
        token = _tokens,
        pos = _positions,
        n_seq_id = _sequenceCounts,
        seq_id = _sequenceLists,
        logits = _outputs,
    };

    public void Clear() => Count = 0;

    public void Add(int token, int position, int sequence, bool output)
    {
        if (Count == _capacity)
            throw new InvalidOperationException($"The batch holds {_capacity} tokens.");

        _tokens[Count] = token;
        _positions[Count] = position;
        _sequences[Count] = sequence;
        _outputs[Count] = output ? (sbyte)1 : (sbyte)0;
        Count++;
    }

    /// <summary>One entry out of range fails the whole batch or aborts the process, so all are looked at first.</summary>
    public void Check(int vocabulary, int sequences)
    {
        for (var i = 0; i < Count; i++)
        {
            if ((uint)_tokens[i] >= (uint)vocabulary || (uint)_sequences[i] >= (uint)sequences || _positions[i] < 0)
                throw new InvalidOperationException($"Batch entry {i} is out of range.");
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_disposed)
            return;

        _disposed = true;
        NativeMemory.Free(_tokens);
        NativeMemory.Free(_positions);
        NativeMemory.Free(_sequenceCounts);
        NativeMemory.Free(_sequences);
        NativeMemory.Free(_sequenceLists);
        NativeMemory.Free(_outputs);
    }
}
