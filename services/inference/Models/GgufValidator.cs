namespace Fleet.Inference.Models;

/// <summary>
/// Refuses what would kill the process inside llama.cpp (an assertion there is an abort, not an exception), and truncated files, whose
/// message from the library would help nobody.
/// </summary>
internal static class GgufValidator
{
    // LLAMA_MAX_LAYERS of the pinned release.
    private const int MaxLayers = 512;
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
        InRange(header.OfArchitecture("context_length"), 1, MaxContext, "tokens of context");
        InRange(header.OfArchitecture("embedding_length"), 1, 1_048_576, "dimensions");
        if (header.Metadata.ContainsKey($"{header.Architecture}.attention.head_count") && header.Array($"{header.Architecture}.attention.head_count") is null)
            InRange(header.OfArchitecture("attention.head_count"), 1, 65_536, "attention heads");

        CheckVocabulary(header);
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
        if (tensor.Elements % format.BlockElements != 0)
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
