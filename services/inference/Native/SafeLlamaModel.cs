using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Fleet.Inference.Native;

/// <summary>A model in memory. Outlives its contexts, which hold a reference. Its vocabulary may be used from any thread, during decodes too.</summary>
internal sealed unsafe class SafeLlamaModel : SafeHandleZeroOrMinusOneIsInvalid
{
    // LLAMA_VOCAB_TYPE_BPE
    private const int BytePairs = 2;

    // Pre-tokenisers that llama.cpp has no code of its own for run on std::regex, which recurses for every character of a word: one of 40,000
    // ends the process on 8 MiB of stack. In bytes; what is cut loses one merge.
    private const int LongestWord = 2048;

    private readonly nint _vocabulary;
    private readonly bool _mayRecurse;

    private SafeLlamaModel(nint model)
        : base(ownsHandle: true)
    {
        SetHandle(model);
        _vocabulary = LlamaNative.llama_model_get_vocab(this);
        _mayRecurse = LlamaNative.llama_vocab_type(_vocabulary) == BytePairs;
        VocabularySize = LlamaNative.llama_vocab_n_tokens(_vocabulary);
        TrainedContext = LlamaNative.llama_model_n_ctx_train(this);
        EmbeddingWidth = LlamaNative.llama_model_n_embd_out(this);
        BeginOfSequence = LlamaNative.llama_vocab_get_add_bos(_vocabulary) ? LlamaNative.llama_vocab_bos(_vocabulary) : null;
        HasRecurrentState = LlamaNative.llama_model_is_recurrent(this) || LlamaNative.llama_model_is_hybrid(this);
    }

    /// <summary>Keeps a running state per sequence instead of, or beside, cells: its past can be neither shared in part nor cut.</summary>
    public bool HasRecurrentState { get; }

    public int VocabularySize { get; }

    public int TrainedContext { get; }

    public int EmbeddingWidth { get; }

    /// <summary>The token every text must begin with; null when the model wants none.</summary>
    public int? BeginOfSequence { get; }

    /// <summary>Blocks for as long as reading takes. The file must have been validated: some broken files abort the process.</summary>
    /// <param name="rearrange">Weights are copied into the order the processor likes best: faster, and as much memory again while loading.</param>
    public static SafeLlamaModel Load(string path, int gpuLayers, IProgress<float> progress, CancellationToken cancellationToken, bool rearrange = true)
    {
        var state = new LoadState(progress, cancellationToken);
        var pin = GCHandle.Alloc(state);
        try
        {
            var parameters = LlamaNative.llama_model_default_params();
            parameters.n_gpu_layers = gpuLayers;
            parameters.use_extra_bufts = rearrange;
            parameters.progress_callback = &OnProgress;
            parameters.progress_callback_user_data = (void*)GCHandle.ToIntPtr(pin);

            LlamaLog.TakeLastError();
            var model = LlamaNative.llama_model_load_from_file(path, parameters);
            cancellationToken.ThrowIfCancellationRequested();
            return model != 0 ? new SafeLlamaModel(model) : throw new LlamaException(LlamaLog.TakeLastError() ?? "llama.cpp refused the file.");
        }
        finally
        {
            pin.Free();
        }
    }

    /// <summary>Reads a LoRA adapter; it is freed with the model. The file must have been validated. One caller at a time.</summary>
    public nint LoadAdapter(string path)
    {
        LlamaLog.TakeLastError();
        var adapter = LlamaNative.llama_adapter_lora_init(this, path);
        return adapter != 0 ? adapter : throw new LlamaException(LlamaLog.TakeLastError() ?? "llama.cpp refused the adapter.");
    }

    /// <param name="addSpecial">Adds what the vocabulary puts around a text (BERT's classifier and separator tokens).</param>
    /// <param name="parseSpecial">Reads control tokens written out in the text. Never for text a user wrote.</param>
    public int[] Tokenize(ReadOnlySpan<byte> text, bool addSpecial, bool parseSpecial)
    {
        var cut = _mayRecurse ? RunawayWord(text) : 0;
        if (cut == 0)
            return TokenizeWhole(text, addSpecial, parseSpecial);

        var tokens = new List<int>();
        for (; cut > 0; cut = RunawayWord(text))
        {
            tokens.AddRange(TokenizeWhole(text[..cut], addSpecial: false, parseSpecial));
            text = text[cut..];
        }

        tokens.AddRange(TokenizeWhole(text, addSpecial: false, parseSpecial));
        if (addSpecial)
        {
            var bare = TokenizeWhole("a"u8, addSpecial: false, parseSpecial: false);
            var framed = TokenizeWhole("a"u8, addSpecial: true, parseSpecial: false);
            var start = Math.Max(0, framed.AsSpan().IndexOf(bare));
            tokens.InsertRange(0, framed[..start]);
            tokens.AddRange(framed[(start + bare.Length)..]);
        }

        return [.. tokens];
    }

    /// <summary>Where a text must be cut because a word, or a gap, is too long; 0 = nowhere. Never inside a character.</summary>
    internal static int RunawayWord(ReadOnlySpan<byte> text)
    {
        var (run, inGap) = (0, false);
        for (var i = 0; i < text.Length; i++)
        {
            var isGap = text[i] <= ' ';
            run = isGap == inGap ? run + 1 : 1;
            inGap = isGap;
            if (run <= LongestWord)
                continue;

            var cut = i;
            while (cut > i - 3 && (text[cut] & 0xC0) == 0x80)
                cut--;
            return cut;
        }

        return 0;
    }

    private int[] TokenizeWhole(ReadOnlySpan<byte> text, bool addSpecial, bool parseSpecial)
    {
        // No token is shorter than a byte, but special ones are added around the text.
        var tokens = new int[text.Length + 8];
        fixed (byte* bytes = text)
        fixed (int* buffer = tokens)
        {
            // A null pointer is not an empty text to the library.
            byte none = 0;
            var start = bytes is null ? &none : bytes;
            var count = LlamaNative.llama_tokenize(_vocabulary, start, text.Length, buffer, tokens.Length, addSpecial, parseSpecial);
            return count >= 0 ? tokens[..count] : throw new LlamaException($"The text has more than {tokens.Length} tokens.");
        }
    }

    /// <summary>The token's bytes, perhaps part of a character; empty for control tokens unless <paramref name="special"/>.</summary>
    public byte[] Piece(int token, bool special = false)
    {
        const int Enough = 256;
        var buffer = stackalloc byte[Enough];
        var length = LlamaNative.llama_token_to_piece(_vocabulary, token, buffer, Enough, 0, special);
        if (length >= 0)
            return new Span<byte>(buffer, length).ToArray();

        var large = new byte[-length];
        fixed (byte* bytes = large)
            length = LlamaNative.llama_token_to_piece(_vocabulary, token, bytes, large.Length, 0, special);
        return large[..Math.Max(0, length)];
    }

    /// <summary>The texts of the tokens that only <c>parseSpecial</c> reads: control tokens and the unknown one.</summary>
    public IReadOnlyList<string> ControlTokenTexts()
    {
        const int Unknown = 1;
        const int Control = 8;
        var texts = new List<string>();
        for (var token = 0; token < VocabularySize; token++)
        {
            if ((LlamaNative.llama_vocab_get_attr(_vocabulary, token) & (Unknown | Control)) != 0
                && Marshal.PtrToStringUTF8((nint)LlamaNative.llama_vocab_get_text(_vocabulary, token)) is { Length: > 0 } text)
            {
                texts.Add(text);
            }
        }

        return texts;
    }

    public bool IsEndOfGeneration(int token) => LlamaNative.llama_vocab_is_eog(_vocabulary, token);

    /// <summary>The file's second template, for requests with tools, or null.</summary>
    public string? ToolTemplate
    {
        get
        {
            fixed (byte* name = "tool_use\0"u8)
                return Marshal.PtrToStringUTF8((nint)LlamaNative.llama_model_chat_template(this, name));
        }
    }

    /// <summary>The template in the file, or null.</summary>
    public string? ChatTemplate => Marshal.PtrToStringUTF8((nint)LlamaNative.llama_model_chat_template(this, null));

    /// <summary>How a query and a document are written as one text, with {query} and {document}; null for models that separate the two by tokens.</summary>
    public string? RerankTemplate
    {
        get
        {
            fixed (byte* name = "rerank\0"u8)
                return Marshal.PtrToStringUTF8((nint)LlamaNative.llama_model_chat_template(this, name));
        }
    }

    /// <summary>Numbers the classification head gives; 1 also for models without a head.</summary>
    public int ClassifierOutputs => (int)LlamaNative.llama_model_n_cls_out(this);

    /// <summary>What an output of the head stands for; null when the file does not say.</summary>
    public string? ClassifierLabel(int output) =>
        (uint)output < (uint)ClassifierOutputs ? Marshal.PtrToStringUTF8((nint)LlamaNative.llama_model_cls_label(this, (uint)output)) : null;

    /// <summary>The tokens the vocabulary wants between the two texts of a pair; empty when it says nothing of pairs.</summary>
    public IReadOnlyList<int> PairSeparator
    {
        get
        {
            var (end, separator) = (LlamaNative.llama_vocab_eos(_vocabulary), LlamaNative.llama_vocab_sep(_vocabulary));
            var tokens = new List<int>(2);
            if (LlamaNative.llama_vocab_get_add_eos(_vocabulary))
                tokens.Add(end >= 0 ? end : separator);
            if (LlamaNative.llama_vocab_get_add_sep(_vocabulary))
                tokens.Add(separator);
            return tokens.TrueForAll(token => token >= 0) ? tokens : [];
        }
    }

    /// <summary>Writes a conversation as the template wants it; null when the template is none of those llama.cpp knows.</summary>
    public static string? ApplyTemplate(string template, IReadOnlyList<(string Role, string Content)> messages)
    {
        var allocated = new List<nint>();
        var native = new llama_chat_message[messages.Count];
        try
        {
            for (var i = 0; i < native.Length; i++)
                native[i] = new llama_chat_message { role = Utf8(messages[i].Role), content = Utf8(messages[i].Content) };

            var name = Utf8(template);
            var buffer = new byte[1024 + messages.Sum(message => message.Content.Length * 2 + 64)];
            fixed (llama_chat_message* first = native)
            {
                // Unlike its siblings this function returns the needed size as a positive number.
                for (var attempt = 0; attempt < 2; attempt++)
                {
                    int length;
                    fixed (byte* bytes = buffer)
                        length = LlamaNative.llama_chat_apply_template(name, first, (nuint)native.Length, addAssistant: true, bytes, buffer.Length);
                    if (length < 0)
                        return null;
                    if (length <= buffer.Length)
                        return System.Text.Encoding.UTF8.GetString(buffer, 0, length);
                    buffer = new byte[length];
                }
            }

            return null;
        }
        finally
        {
            foreach (var pointer in allocated)
                Marshal.FreeCoTaskMem(pointer);
        }

        byte* Utf8(string text)
        {
            var pointer = Marshal.StringToCoTaskMemUTF8(text);
            allocated.Add(pointer);
            return (byte*)pointer;
        }
    }

    protected override bool ReleaseHandle()
    {
        LlamaNative.llama_model_free(handle);
        return true;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte OnProgress(float value, void* data)
    {
        try
        {
            var state = (LoadState)GCHandle.FromIntPtr((nint)data).Target!;
            state.Progress.Report(value);
            return state.CancellationToken.IsCancellationRequested ? (byte)0 : (byte)1;
        }
        catch (Exception)
        {
            // Progress is not worth a load, and an exception must not reach native code.
            return 1;
        }
    }

    private sealed record LoadState(IProgress<float> Progress, CancellationToken CancellationToken);
}
