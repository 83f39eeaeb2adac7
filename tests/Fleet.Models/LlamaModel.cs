namespace Fleet.Models;

/// <summary>
/// A Llama with random weights and a real tokenizer. It talks nonsense, deterministically: everything around the weights
/// (tokens, cache, batching, streaming) can be tested with it.
/// </summary>
public sealed record LlamaModel
{
    public const string ChatTemplate =
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    /// <summary>2 layers, 512 tokens, 0.6 MB.</summary>
    public static LlamaModel Tiny { get; } = new();

    /// <summary>4 layers, 4,096 tokens, 21 MB: slow enough to be cancelled in the middle.</summary>
    public static LlamaModel Small { get; } = new() { Layers = 4, Width = 256, Heads = 8, KeyValueHeads = 4, FeedForward = 768, Vocabulary = 4096, Seed = 3 };

    /// <summary>The tokens that end a reply; tests that need a known length forbid them by a logit bias.</summary>
    public static IReadOnlyList<int> EndTokens { get; } = [2, new SpmVocabulary(size: 0).Tokens.IndexOf("<|im_end|>")];

    /// <summary>
    /// 6 layers, 512 tokens, 77 MB: some 200 tokens a second on two cores, so that a test can reach into a running reply, which is exactly as
    /// long as it was allowed to be.
    /// </summary>
    public static LlamaModel Slow { get; } = new() { Layers = 6, Width = 512, Heads = 8, KeyValueHeads = 4, FeedForward = 1536, Seed = 5, NeverEnds = true };

    public int Layers { get; init; } = 2;

    public int Width { get; init; } = 64;

    public int Heads { get; init; } = 4;

    public int KeyValueHeads { get; init; } = 2;

    public int FeedForward { get; init; } = 128;

    public int Vocabulary { get; init; } = 512;

    public int Context { get; init; } = 2048;

    public ulong Seed { get; init; } = 1;

    public Quantisation Quantisation { get; init; }

    /// <summary>Null leaves the template out of the file.</summary>
    public string? Template { get; init; } = ChatTemplate;

    /// <summary>End tokens get no weight, so that the usual top-k never picks one: a reply is as long as its limit.</summary>
    public bool NeverEnds { get; init; }

    /// <summary>Control tokens beside ChatML's.</summary>
    public IReadOnlyList<string> ControlTokens { get; init; } = [];

    public byte[] ToArray() => Build().ToArray();

    public void Save(string path) => Build().Save(path);

    /// <summary>llama.cpp's number; 3, the last token's vector, makes it an embedding model that ends every text with its end token.</summary>
    public uint? Pooling { get; init; }

    /// <summary>Open for tests that want to break something before it is written.</summary>
    public GgufWriter Build()
    {
        var vocabulary = new SpmVocabulary(Vocabulary, ControlTokens);
        var size = vocabulary.Tokens.Count;
        var headWidth = Width / Heads;

        var file = new GgufWriter { Quantisation = Quantisation }
            .Set("general.architecture", "llama").Set("general.name", "random-llama").Set("general.file_type", 0u)
            .Set("llama.vocab_size", (uint)size).Set("llama.context_length", (uint)Context).Set("llama.embedding_length", (uint)Width)
            .Set("llama.block_count", (uint)Layers).Set("llama.feed_forward_length", (uint)FeedForward)
            .Set("llama.attention.head_count", (uint)Heads).Set("llama.attention.head_count_kv", (uint)KeyValueHeads)
            .Set("llama.attention.layer_norm_rms_epsilon", 1e-5f).Set("llama.rope.freq_base", 10000f).Set("llama.rope.dimension_count", (uint)headWidth)
            .Set("tokenizer.ggml.model", "llama").Set("tokenizer.ggml.pre", "default")
            .Set("tokenizer.ggml.tokens", vocabulary.Tokens).Set("tokenizer.ggml.scores", vocabulary.Scores).Set("tokenizer.ggml.token_type", vocabulary.Types)
            .Set("tokenizer.ggml.bos_token_id", 1u).Set("tokenizer.ggml.eos_token_id", 2u).Set("tokenizer.ggml.unknown_token_id", 0u)
            .Set("tokenizer.ggml.add_bos_token", true).Set("tokenizer.ggml.add_eos_token", Pooling is not null);
        if (Pooling is { } pooling)
            file.Set("llama.pooling_type", pooling);
        if (Template is not null)
            file.Set("tokenizer.chat_template", Template);

        var weights = new SeededWeights(Seed);
        var narrow = 1f / MathF.Sqrt(Width);
        var wide = 1f / MathF.Sqrt(FeedForward);
        file.Tensor("token_embd.weight", weights.Gaussian((long)Width * size, 1f), Width, size);
        file.Tensor("output_norm.weight", weights.Gaussian(Width, 0.1f, 1f), Width);
        var output = weights.Gaussian((long)Width * size, 2f * narrow);
        if (NeverEnds)
        {
            foreach (var token in EndTokens) Array.Clear(output, token * Width, Width);
        }

        file.Tensor("output.weight", output, Width, size);
        for (var layer = 0; layer < Layers; layer++)
        {
            Norm($"blk.{layer}.attn_norm.weight");
            Matrix($"blk.{layer}.attn_q.weight", Width, Heads * headWidth, narrow);
            Matrix($"blk.{layer}.attn_k.weight", Width, KeyValueHeads * headWidth, narrow);
            Matrix($"blk.{layer}.attn_v.weight", Width, KeyValueHeads * headWidth, narrow);
            Matrix($"blk.{layer}.attn_output.weight", Heads * headWidth, Width, narrow);
            Norm($"blk.{layer}.ffn_norm.weight");
            Matrix($"blk.{layer}.ffn_gate.weight", Width, FeedForward, narrow);
            Matrix($"blk.{layer}.ffn_up.weight", Width, FeedForward, narrow);
            Matrix($"blk.{layer}.ffn_down.weight", FeedForward, Width, wide);
        }

        return file;

        void Norm(string name) => file.Tensor(name, weights.Gaussian(Width, 0.1f, 1f), Width);

        // Twice the usual deviation: sharper logits, so that greedy choices are not decided by rounding.
        void Matrix(string name, int columns, int rows, float deviation) =>
            file.Tensor(name, weights.Gaussian((long)columns * rows, 2f * deviation), columns, rows);
    }
}
