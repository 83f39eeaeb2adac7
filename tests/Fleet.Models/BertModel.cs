namespace Fleet.Models;

/// <summary>A BERT with random weights, a WordPiece vocabulary and mean pooling: embeds deterministically, means nothing.</summary>
public sealed record BertModel
{
    private const int Normal = 1;
    private const int Unknown = 2;
    private const int Control = 3;

    // GGUF stores word starts with this mark and continuations ("##ing") bare.
    private const char WordStart = '\u2581';

    // llama.cpp's LLAMA_POOLING_TYPE_RANK
    private const uint RankPooling = 4;

    /// <summary>2 layers, 103 tokens, 0.3 MB.</summary>
    public static BertModel Tiny { get; } = new();

    /// <summary>The same with a classification head of one output: a cross-encoder.</summary>
    public static BertModel TinyReranker { get; } = new() { Pooling = RankPooling, Seed = 9 };

    /// <summary>llama.cpp's number: 1 mean, 2 first token, 3 last token, 4 classification head; null leaves it out of the file.</summary>
    public uint? Pooling { get; init; } = 1;

    /// <summary>Names of the head's outputs; empty = one without a name.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>False leaves the head out of a model that needs it.</summary>
    public bool HasHead { get; init; } = true;

    public int Layers { get; init; } = 2;

    public int Width { get; init; } = 64;

    public int Heads { get; init; } = 4;

    public int FeedForward { get; init; } = 128;

    public int Context { get; init; } = 128;

    public ulong Seed { get; init; } = 5;

    public byte[] ToArray() => Build().ToArray();

    public void Save(string path) => Build().Save(path);

    public GgufWriter Build()
    {
        var (tokens, types) = Vocabulary();
        var file = new GgufWriter()
            .Set("general.architecture", "bert").Set("general.name", "random-bert").Set("general.file_type", 0u)
            .Set("bert.context_length", (uint)Context).Set("bert.embedding_length", (uint)Width).Set("bert.block_count", (uint)Layers)
            .Set("bert.feed_forward_length", (uint)FeedForward).Set("bert.attention.head_count", (uint)Heads)
            .Set("bert.attention.layer_norm_epsilon", 1e-12f).Set("bert.attention.causal", false)
            .Set("tokenizer.ggml.model", "bert").Set("tokenizer.ggml.pre", "default").Set("tokenizer.ggml.token_type_count", 2u)
            .Set("tokenizer.ggml.tokens", tokens).Set("tokenizer.ggml.token_type", types)
            .Set("tokenizer.ggml.padding_token_id", 0u).Set("tokenizer.ggml.unknown_token_id", 1u).Set("tokenizer.ggml.bos_token_id", 2u)
            .Set("tokenizer.ggml.cls_token_id", 2u).Set("tokenizer.ggml.seperator_token_id", 3u).Set("tokenizer.ggml.eos_token_id", 3u)
            .Set("tokenizer.ggml.mask_token_id", 4u);
        if (Pooling is { } pooling)
            file.Set("bert.pooling_type", pooling);
        if (Pooling == RankPooling)
            file.Set("tokenizer.ggml.add_bos_token", true).Set("tokenizer.ggml.add_eos_token", true).Set("tokenizer.ggml.add_sep_token", false);
        if (Labels.Count > 0)
            file.Set("bert.classifier.output_labels", Labels);

        var weights = new SeededWeights(Seed);
        var narrow = 1f / MathF.Sqrt(Width);
        var wide = 1f / MathF.Sqrt(FeedForward);
        Matrix("token_embd.weight", Width, tokens.Count, 1f);
        Matrix("token_types.weight", Width, 2, 0.1f);
        Matrix("position_embd.weight", Width, Context, 0.3f);
        Norm("token_embd_norm");
        for (var layer = 0; layer < Layers; layer++)
        {
            foreach (var projection in (string[])["attn_q", "attn_k", "attn_v", "attn_output"])
                Linear($"blk.{layer}.{projection}", Width, Width, narrow);
            Norm($"blk.{layer}.attn_output_norm");
            Linear($"blk.{layer}.ffn_up", Width, FeedForward, narrow);
            Linear($"blk.{layer}.ffn_down", FeedForward, Width, wide);
            Norm($"blk.{layer}.layer_output_norm");
        }

        if (Pooling == RankPooling && HasHead)
        {
            Linear("cls", Width, Width, narrow);
            Linear("cls.output", Width, Math.Max(1, Labels.Count), narrow);
        }

        return file;

        void Matrix(string name, int columns, int rows, float deviation) =>
            file.Tensor(name, weights.Gaussian((long)columns * rows, deviation), columns, rows);

        void Bias(string name, int size) => file.Tensor(name, weights.Gaussian(size, 0.03f), size);

        void Norm(string name)
        {
            file.Tensor($"{name}.weight", weights.Gaussian(Width, 0.1f, 1f), Width);
            Bias($"{name}.bias", Width);
        }

        void Linear(string name, int columns, int rows, float deviation)
        {
            Matrix($"{name}.weight", columns, rows, deviation);
            Bias($"{name}.bias", rows);
        }
    }

    private static (List<string> Tokens, List<int> Types) Vocabulary()
    {
        List<string> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        List<int> types = [Control, Unknown, Control, Control, Control];
        foreach (var word in "the and of to in is a hello world my name cat dog run sun moon tree".Split(' '))
            Add(WordStart + word);
        foreach (var character in "abcdefghijklmnopqrstuvwxyz0123456789")
        {
            Add($"{WordStart}{character}");
            Add(character.ToString());
        }

        foreach (var mark in ".,!?'-")
            Add($"{WordStart}{mark}");
        foreach (var ending in (string[])["ing", "ed", "er", "ly"])
            Add(ending);
        return (tokens, types);

        void Add(string token)
        {
            if (tokens.Contains(token))
                return;

            tokens.Add(token);
            types.Add(Normal);
        }
    }
}
