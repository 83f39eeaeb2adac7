using System.Runtime.InteropServices;
using System.Text;
using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Native;

/// <summary>llama.cpp's own samplers, as the authority on what ours must keep. Tests only: the service never calls them.</summary>
internal sealed unsafe class LlamaSamplers
{
    private readonly nint _library;
    private readonly nint _vocabulary;

    public LlamaSamplers(SafeLlamaModel model)
    {
        _library = NativeLibrary.Load(Path.Combine(new NativeOptions().NativeLibraryDirectory, "libllama.v0.5.0.so"));
        _vocabulary = LlamaNative.llama_model_get_vocab(model);
    }

    public nint TopK(int k) => ((delegate* unmanaged[Cdecl]<int, nint>)Function("llama_sampler_init_top_k"))(k);

    public nint TopP(float p) => ((delegate* unmanaged[Cdecl]<float, nuint, nint>)Function("llama_sampler_init_top_p"))(p, 0);

    public nint MinP(float p) => ((delegate* unmanaged[Cdecl]<float, nuint, nint>)Function("llama_sampler_init_min_p"))(p, 0);

    public nint Typical(float p) => ((delegate* unmanaged[Cdecl]<float, nuint, nint>)Function("llama_sampler_init_typical"))(p, 0);

    public nint Xtc(float probability, float threshold) => ((delegate* unmanaged[Cdecl]<float, float, nuint, uint, nint>)Function("llama_sampler_init_xtc"))(probability, threshold, 0, 1);

    public nint Temperature(float temperature) => ((delegate* unmanaged[Cdecl]<float, nint>)Function("llama_sampler_init_temp"))(temperature);

    public nint Mirostat1(int vocabulary, float tau, float eta) =>
        ((delegate* unmanaged[Cdecl]<int, uint, float, float, int, nint>)Function("llama_sampler_init_mirostat"))(vocabulary, 1, tau, eta, 100);

    public nint Mirostat2(float tau, float eta) => ((delegate* unmanaged[Cdecl]<uint, float, float, nint>)Function("llama_sampler_init_mirostat_v2"))(1, tau, eta);

    public nint Penalties(int vocabulary, int lastN, float repeat, float frequency, float presence) =>
        ((delegate* unmanaged[Cdecl]<int, int, float, float, float, nint>)Function("llama_sampler_init_penalties"))(vocabulary, lastN, repeat, frequency, presence);

    public nint Dry(float multiplier, float @base, int allowedLength, int lastN, params string[] breakers)
    {
        var pointers = stackalloc byte*[breakers.Length];
        for (var i = 0; i < breakers.Length; i++)
            pointers[i] = (byte*)Marshal.StringToCoTaskMemUTF8(breakers[i]);
        var sampler = ((delegate* unmanaged[Cdecl]<nint, float, float, int, int, byte**, nuint, nint>)Function("llama_sampler_init_dry"))(
            _vocabulary, multiplier, @base, allowedLength, lastN, pointers, (nuint)breakers.Length);
        for (var i = 0; i < breakers.Length; i++)
            Marshal.FreeCoTaskMem((nint)pointers[i]);
        return sampler;
    }

    /// <summary>Zero when llama.cpp refuses the grammar.</summary>
    public nint Grammar(string gbnf)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(gbnf + "\0"))
        fixed (byte* root = "root\0"u8)
            return ((delegate* unmanaged[Cdecl]<nint, byte*, byte*, nint>)Function("llama_sampler_init_grammar"))(_vocabulary, text, root);
    }

    public void Accept(nint sampler, int token) => ((delegate* unmanaged[Cdecl]<nint, int, void>)Function("llama_sampler_accept"))(sampler, token);

    public void Free(nint sampler) => ((delegate* unmanaged[Cdecl]<nint, void>)Function("llama_sampler_free"))(sampler);

    /// <summary>What the samplers, one after the other, leave of the scores.</summary>
    public Dictionary<int, float> Apply(float[] logits, params nint[] samplers)
    {
        var data = new TokenData[logits.Length];
        for (var token = 0; token < data.Length; token++)
            data[token] = new TokenData { Id = token, Logit = logits[token] };

        fixed (TokenData* first = data)
        {
            var array = new TokenDataArray { Data = first, Size = (nuint)data.Length, Selected = -1 };
            foreach (var sampler in samplers)
                ((delegate* unmanaged[Cdecl]<nint, TokenDataArray*, void>)Function("llama_sampler_apply"))(sampler, &array);

            var left = new Dictionary<int, float>();
            for (nuint i = 0; i < array.Size; i++)
                left.Add(array.Data[i].Id, array.Data[i].Logit);
            return left;
        }
    }

    private nint Function(string name) => NativeLibrary.GetExport(_library, name);

    // llama_token_data and llama_token_data_array: 12 and 32 bytes (llama-native.md, section 1).
    [StructLayout(LayoutKind.Sequential)]
    private struct TokenData
    {
        public int Id;
        public float Logit;
        public float Probability;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct TokenDataArray
    {
        public TokenData* Data;
        public nuint Size;
        public long Selected;
        public byte Sorted;
    }
}
