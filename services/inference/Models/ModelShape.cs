namespace Fleet.Inference.Models;

/// <summary>What a layer costs: its weights, and per token of context the values it keeps.</summary>
/// <param name="KeyWidth">Values of a key, all heads together; 0 in layers without attention.</param>
/// <param name="ValueWidth">Values of a value; 0 where it is part of the key (multi-head latent attention).</param>
internal readonly record struct LayerShape(long WeightBytes, int KeyWidth, int ValueWidth);

/// <summary>The measures of a model that decide what memory it takes, read from its file's header.</summary>
internal sealed record ModelShape
{
    public required IReadOnlyList<LayerShape> Layers { get; init; }

    /// <summary>Token embeddings; llama.cpp leaves them with the processor.</summary>
    public required long InputBytes { get; init; }

    /// <summary>The output matrix and norm; the token embeddings once more where a model has no matrix of its own.</summary>
    public required long OutputBytes { get; init; }

    public required int Vocabulary { get; init; }

    public required int Width { get; init; }

    public required int FeedForward { get; init; }

    public required int Heads { get; init; }

    /// <summary>Query values of the widest layer, all heads together.</summary>
    public required int QueryWidth { get; init; }

    public required int TrainedContext { get; init; }

    /// <summary>Values a recurrent layer keeps for one sequence, all such layers together; 0 for pure transformers.</summary>
    public long RecurrentValues { get; init; }

    /// <summary>Whether the header said enough to compute the cache.</summary>
    public bool Known { get; init; }

    public long WeightBytes => InputBytes + OutputBytes + Layers.Sum(layer => layer.WeightBytes);

    public static ModelShape Of(GgufHeader header)
    {
        var layers = (int)Math.Clamp(header.OfArchitecture("block_count") ?? 0, 0, 512);
        var width = Size(header.OfArchitecture("embedding_length"));
        var heads = header.PerLayer("attention.head_count", layers);
        var sharedHeads = header.PerLayer("attention.head_count_kv", layers) ?? heads;
        var mostHeads = Size(heads?.DefaultIfEmpty(0).Max());
        var keyHead = Size(header.OfArchitecture("attention.key_length")) is > 0 and var key ? key : mostHeads > 0 ? width / mostHeads : 0;
        var valueHead = Size(header.OfArchitecture("attention.value_length")) is > 0 and var value ? value : mostHeads > 0 ? width / mostHeads : 0;

        // Latent attention keeps one compressed vector per token, which serves as key and value.
        var latent = header.OfArchitecture("attention.key_length_mla") is > 0 && header.OfArchitecture("attention.value_length_mla") is > 0;
        // Windowed layers may have heads of another width; which layers those are is often known to llama.cpp only, so the wider counts.
        keyHead = Math.Max(keyHead, Size(header.OfArchitecture("attention.key_length_swa")));
        valueHead = Math.Max(valueHead, Size(header.OfArchitecture("attention.value_length_swa")));

        var weights = new long[layers];
        var (input, output, other) = (0L, 0L, 0L);
        foreach (var tensor in header.Tensors)
        {
            if (LayerOf(tensor.Name) is { } layer && layer < layers)
                weights[layer] += tensor.Bytes;
            else if (tensor.Name.StartsWith("token_embd", StringComparison.Ordinal))
                input += tensor.Bytes;
            else if (tensor.Name.StartsWith("output", StringComparison.Ordinal))
                output += tensor.Bytes;
            else
                other += tensor.Bytes;
        }

        var withCache = Math.Max(0, layers - Size(header.OfArchitecture("attention.shared_kv_layers")));
        var interval = Size(header.OfArchitecture("full_attention_interval"));
        var shapes = new LayerShape[layers];
        var recurrent = 0;
        for (var i = 0; i < layers; i++)
        {
            // A layer without key-value heads, or between the full attention of a hybrid, keeps a running state instead.
            var attends = Size(sharedHeads?[i]) > 0 && (interval == 0 || (i + 1) % interval == 0);
            recurrent += attends ? 0 : 1;
            var kept = attends && i < withCache ? Size(sharedHeads![i]) : 0;
            shapes[i] = new LayerShape(weights[i], kept * keyHead, latent ? 0 : kept * valueHead);
        }

        return new ModelShape
        {
            Layers = shapes,
            InputBytes = input + other,
            OutputBytes = output,
            Vocabulary = (int)Math.Min(header.Array("tokenizer.ggml.tokens")?.Count ?? 0, int.MaxValue),
            Width = width,
            FeedForward = Size(header.PerLayer("feed_forward_length", layers)?.DefaultIfEmpty(0).Max()),
            Heads = mostHeads,
            QueryWidth = mostHeads * keyHead,
            TrainedContext = (int)Math.Clamp(header.OfArchitecture("context_length") ?? 0, 0, int.MaxValue),
            RecurrentValues = recurrent * RecurrentState(header),
            Known = layers > 0 && (mostHeads > 0 || RecurrentState(header) > 0),
        };
    }

    // Mamba and its kin: the last inputs of the convolution and the state itself.
    private static long RecurrentState(GgufHeader header)
    {
        long inner = Size(header.OfArchitecture("ssm.inner_size")), state = Size(header.OfArchitecture("ssm.state_size"));
        long groups = Size(header.OfArchitecture("ssm.group_count")), convolution = Size(header.OfArchitecture("ssm.conv_kernel"));
        return Math.Max(0, convolution - 1) * (inner + 2 * groups * state) + inner * state;
    }

    private static int? LayerOf(string tensor) =>
        tensor.StartsWith("blk.", StringComparison.Ordinal) && tensor.IndexOf('.', 4) is > 0 and var end && int.TryParse(tensor.AsSpan(4, end - 4), out var layer) && layer >= 0 ? layer : null;

    // Sizes of hostile files: large enough to be refused later, too small to overflow here.
    private static int Size(long? value) => (int)Math.Clamp(value ?? 0, 0, 1 << 22);
}
