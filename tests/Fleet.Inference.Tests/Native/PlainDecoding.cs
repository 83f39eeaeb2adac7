using System.Runtime.InteropServices;
using System.Text;
using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Native;

/// <summary>
/// The shortest way to text that llama.cpp's interface allows: one context, one sequence, the whole prompt in one batch, then token by
/// token. Calls the library past everything of Fleet's, so that it can bear witness.
/// </summary>
internal sealed unsafe class PlainDecoding : IDisposable
{
    private const int ContextTokens = 512;
    private readonly Functions _llama;
    private readonly nint _model;
    private readonly int _vocabulary;

    public PlainDecoding(string libraryDirectory, string modelPath)
    {
        _llama = new Functions(NativeLibrary.Load(Path.Combine(libraryDirectory, $"libllama.v{NativeLibraries.PinnedVersion}.so")));
        fixed (byte* path = Encoding.UTF8.GetBytes(modelPath + '\0'))
            _model = _llama.Load(path, _llama.ModelDefaults());
        Assert.NotEqual(0, _model);
        _vocabulary = _llama.VocabularySize(_llama.Vocabulary(_model));
    }

    /// <param name="forbidden">Never chosen, however likely.</param>
    public List<int> Greedy(IReadOnlyList<int> prompt, int tokens, IReadOnlyCollection<int> forbidden)
    {
        var parameters = _llama.ContextDefaults();
        parameters.Tokens = ContextTokens;
        parameters.Threads = parameters.BatchThreads = 1;
        var context = _llama.Create(_model, parameters);
        Assert.NotEqual(0, context);
        try
        {
            var written = new List<int>();
            var next = Decode(context, prompt, 0, forbidden);
            while (true)
            {
                written.Add(next);
                if (written.Count == tokens)
                    return written;
                next = Decode(context, [next], prompt.Count + written.Count - 1, forbidden);
            }
        }
        finally
        {
            _llama.Free(context);
        }
    }

    public void Dispose() => _llama.FreeModel(_model);

    /// <summary>The most likely token after these.</summary>
    private int Decode(nint context, IReadOnlyList<int> tokens, int position, IReadOnlyCollection<int> forbidden)
    {
        var ids = tokens.ToArray();
        var positions = Enumerable.Range(position, ids.Length).ToArray();
        var counts = Enumerable.Repeat(1, ids.Length).ToArray();
        var outputs = new sbyte[ids.Length];
        outputs[^1] = 1;
        var sequence = 0;
        var lists = stackalloc int*[ids.Length];
        for (var i = 0; i < ids.Length; i++)
            lists[i] = &sequence;
        fixed (int* id = ids, at = positions, count = counts)
        fixed (sbyte* output = outputs)
            Assert.Equal(0, _llama.Decode(context, new llama_batch { n_tokens = ids.Length, token = id, pos = at, n_seq_id = count, seq_id = lists, logits = output }));

        var logits = new ReadOnlySpan<float>(_llama.Logits(context, ids.Length - 1), _vocabulary);
        var best = -1;
        for (var token = 0; token < logits.Length; token++)
        {
            if (!forbidden.Contains(token) && (best < 0 || logits[token] > logits[best]))
                best = token;
        }

        return best;
    }

    // By size and offset (llama-layout tests hold them against the header), because a bool field would be marshalled here.
    [StructLayout(LayoutKind.Explicit, Size = 80)]
    private struct ModelParameters;

    [StructLayout(LayoutKind.Explicit, Size = 160)]
    private struct ContextParameters
    {
        [FieldOffset(0)]
        public uint Tokens;

        [FieldOffset(28)]
        public int Threads;

        [FieldOffset(32)]
        public int BatchThreads;
    }

    private sealed class Functions(nint library)
    {
        public readonly delegate* unmanaged[Cdecl]<ModelParameters> ModelDefaults = (delegate* unmanaged[Cdecl]<ModelParameters>)Find(library, "llama_model_default_params");
        public readonly delegate* unmanaged[Cdecl]<byte*, ModelParameters, nint> Load = (delegate* unmanaged[Cdecl]<byte*, ModelParameters, nint>)Find(library, "llama_model_load_from_file");
        public readonly delegate* unmanaged[Cdecl]<ContextParameters> ContextDefaults = (delegate* unmanaged[Cdecl]<ContextParameters>)Find(library, "llama_context_default_params");
        public readonly delegate* unmanaged[Cdecl]<nint, ContextParameters, nint> Create = (delegate* unmanaged[Cdecl]<nint, ContextParameters, nint>)Find(library, "llama_init_from_model");
        public readonly delegate* unmanaged[Cdecl]<nint, llama_batch, int> Decode = (delegate* unmanaged[Cdecl]<nint, llama_batch, int>)Find(library, "llama_decode");
        public readonly delegate* unmanaged[Cdecl]<nint, int, float*> Logits = (delegate* unmanaged[Cdecl]<nint, int, float*>)Find(library, "llama_get_logits_ith");
        public readonly delegate* unmanaged[Cdecl]<nint, nint> Vocabulary = (delegate* unmanaged[Cdecl]<nint, nint>)Find(library, "llama_model_get_vocab");
        public readonly delegate* unmanaged[Cdecl]<nint, int> VocabularySize = (delegate* unmanaged[Cdecl]<nint, int>)Find(library, "llama_vocab_n_tokens");
        public readonly delegate* unmanaged[Cdecl]<nint, void> Free = (delegate* unmanaged[Cdecl]<nint, void>)Find(library, "llama_free");
        public readonly delegate* unmanaged[Cdecl]<nint, void> FreeModel = (delegate* unmanaged[Cdecl]<nint, void>)Find(library, "llama_model_free");

        private static nint Find(nint library, string name) => NativeLibrary.GetExport(library, name);
    }
}
