namespace Fleet.Inference.Models;

/// <summary>
/// Refuses what would kill the process inside llama.cpp (an assertion there is an abort, not an exception), and truncated files, whose
/// message from the library would help nobody.
/// </summary>
internal static class GgufValidator
{
    // LLAMA_MAX_LAYERS of the pinned release.
    private const int MaxLayers = 512;

    // LLAMA_MAX_EXPERTS
    private const int MaxExperts = 1024;
    private const int MaxVocabulary = 1_048_576;
    private const int MaxContext = 16 * 1024 * 1024;

    /// <param name="header">Read in full.</param>
    public static void Validate(GgufHeader header)
    {
        if (header.Architecture.Length is 0 or > 64)
            throw new GgufException("The file names no model architecture.");
        if (header.Text("general.type") is { } type and not "model")
            throw new GgufException($"The file holds a {type}, not a model.");
        if (header.Tensors.Count == 0)
            throw new GgufException("The file holds no weights.");

        InRange(header.OfArchitecture("block_count"), 1, MaxLayers, "layers");
        var layers = (int)header.OfArchitecture("block_count")!.Value;
        InRange(header.OfArchitecture("context_length"), 1, MaxContext, "tokens of context");
        InRange(header.OfArchitecture("embedding_length"), 1, 1_048_576, "dimensions");
        CheckAttention(header, layers);
        CheckExperts(header, layers);
        CheckVocabulary(header);
        CheckTensors(header);
    }

    /// <summary>For a LoRA adapter, which has no vocabulary and few keys.</summary>
    /// <param name="architecture">Of the model it is to change.</param>
    public static void ValidateAdapter(GgufHeader header, string architecture)
    {
        if (header.Text("general.type") != "adapter" || header.Text("adapter.type") != "lora")
            throw new GgufException("The file is not a LoRA adapter.");
        if (header.Architecture != architecture)
            throw new GgufException($"The adapter was made for {header.Architecture}, not for {architecture}.");
        if (header.Tensors.Count == 0)
            throw new GgufException("The file holds no weights.");

        CheckTensors(header);
    }

    /// <summary>For the later files of a model in parts, which have only tensors.</summary>
    public static void ValidatePart(GgufHeader header) => CheckTensors(header);

    private static void CheckAttention(GgufHeader header, int layers)
    {
        // Models with a running state have no heads, or none in some layers.
        var fewest = header.Metadata.ContainsKey($"{header.Architecture}.ssm.state_size") || header.Architecture.StartsWith("rwkv", StringComparison.Ordinal) ? 0 : 1;
        EachInRange(header, "attention.head_count", layers, fewest, 65_536, "attention heads");
        EachInRange(header, "attention.head_count_kv", layers, 0, 65_536, "attention heads for keys and values");
        EachInRange(header, "feed_forward_length", layers, 0, 16_777_216, "dimensions between layers");
        foreach (var key in (string[])["attention.key_length", "attention.value_length", "attention.key_length_mla", "attention.value_length_mla", "attention.key_length_swa", "attention.value_length_swa"])
        {
            if (header.OfArchitecture(key) is { } width)
                InRange(width, 0, 65_536, "dimensions of a head");
        }

        foreach (var key in (string[])["rope.dimension_count", "rope.dimension_count_swa"])
        {
            if (header.OfArchitecture(key) is { } dimensions)
                InRange(dimensions, 0, 65_536, "rotated dimensions");
        }

        if (header.OfArchitecture("nextn_predict_layers") is { } predicting)
            InRange(predicting, 0, layers - 1, "layers that predict further tokens");
        if (header.OfArchitecture("attention.sliding_window") is { } window)
            InRange(window, 0, MaxContext, "tokens in its window");
        foreach (var key in (string[])["ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count"])
        {
            if (header.OfArchitecture(key) is { } size)
                InRange(size, 0, 1_048_576, $"values for {key}");
        }
    }

    // llama.cpp asserts these; its limits are those of the pinned release.
    private static void CheckExperts(GgufHeader header, int layers)
    {
        var experts = header.OfArchitecture("expert_count") ?? 0;
        InRange(experts, 0, MaxExperts, "experts");
        var used = header.PerLayer("expert_used_count", layers)?.DefaultIfEmpty(0).Max() ?? 0;
        // Two architectures ignore a single expert; for the others it is one.
        InRange(used, experts > 1 ? 1 : 0, experts, "experts used at a time");
        var groups = header.OfArchitecture("expert_group_count") ?? 0;
        if (groups != 0)
            InRange(groups, 0, Math.Max(0, experts - 1), "groups of experts");
        var usedGroups = header.OfArchitecture("expert_group_used_count") ?? 0;
        if (groups > 1 && (experts % groups != 0 || usedGroups < 1 || usedGroups >= groups))
            throw new GgufException("The groups of experts do not fit their number.");
    }

    private static void EachInRange(GgufHeader header, string key, int layers, long lowest, long highest, string what)
    {
        if (!header.Metadata.ContainsKey($"{header.Architecture}.{key}"))
            return;
        if (header.PerLayer(key, layers) is not { } each)
            throw new GgufException($"{key} does not say a number for each of the {layers} layers.");

        // Zero for single layers is how hybrids say that a layer has no attention.
        var fewest = each.Distinct().Skip(1).Any() ? 0 : lowest;
        foreach (var value in each.Distinct())
            InRange(value, fewest, highest, what);
    }

    private static void CheckTensors(GgufHeader header)
    {
        foreach (var tensor in header.Tensors)
            CheckTensor(header, tensor);
        if (header.Tensors.DistinctBy(tensor => tensor.Name).Count() != header.Tensors.Count)
            throw new GgufException("A tensor occurs twice.");
    }

    private static void CheckVocabulary(GgufHeader header)
    {
        if (header.Array("tokenizer.ggml.tokens") is not { ElementType: GgufType.String } tokens)
            throw new GgufException("The file holds no vocabulary.");

        InRange(tokens.Count, 1, MaxVocabulary, "tokens in its vocabulary");
        if (header.Text("tokenizer.ggml.model") is not { Length: > 0 })
            throw new GgufException("The file does not say which tokenizer its vocabulary is for.");
        foreach (var (key, value) in header.Metadata)
        {
            if (key.StartsWith("tokenizer.ggml.", StringComparison.Ordinal) && key.EndsWith("_token_id", StringComparison.Ordinal) && value is long id && id is not (-1 or uint.MaxValue))
                InRange(id, 0, tokens.Count - 1, $"as its {key[15..^9]} token");
        }

        if (header.DuplicateToken is not null)
            throw new GgufException("Two tokens of the vocabulary have the same text.");

        // llama.cpp reads these in parallel with the tokens and trusts their length.
        foreach (var key in (string[])["tokenizer.ggml.scores", "tokenizer.ggml.token_type"])
        {
            if (header.Array(key) is { } array && array.Count < tokens.Count)
                throw new GgufException($"The vocabulary is inconsistent: {key} is shorter than the list of tokens.");
        }
    }

    private static void CheckTensor(GgufHeader header, GgufTensor tensor)
    {
        var available = header.FileLength - header.DataStart;
        if (available < 0 || tensor.Offset > (ulong)available)
            throw new GgufException("The file is shorter than its header says; the download is probably incomplete.");

        if (GgufTensorTypes.Find(tensor.Type) is not { } format)
            return;
        if (tensor.Columns % format.BlockElements != 0)
            throw new GgufException("A tensor's size does not fit its type.");

        var blocks = tensor.Elements / format.BlockElements;
        if (blocks > (available - (long)tensor.Offset) / format.BlockBytes)
            throw new GgufException("The file is shorter than its header says; the download is probably incomplete.");
    }

    private static void InRange(long? value, long lowest, long highest, string what)
    {
        if (value is null || value < lowest || value > highest)
            throw new GgufException($"The file claims {value?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "no number of"} {what}.");
    }
}
