using System.Collections.Frozen;
using Fleet.Inference.Engine.Extractive;
using Fleet.Inference.Engine.NGram;

namespace Fleet.Inference.Models;

internal enum ModelKind
{
    Chat,
    Embedding,
    Reranker,
}

/// <summary>What a model is, before it is loaded.</summary>
internal sealed record ModelDescription
{
    public required string Id { get; init; }

    public required ModelKind Kind { get; init; }

    /// <summary>Null for the built-in engines and remote models.</summary>
    public string? Path { get; init; }

    /// <summary>Of a remote model: openai, anthropic, gemini or ollama; empty = runs here.</summary>
    public string Provider { get; init; } = "";

    /// <summary>Of a remote model: the configured name of its provider, shared by all models behind it; empty = runs here.</summary>
    public string Upstream { get; init; } = "";

    public bool IsRemote => Provider.Length > 0;

    public bool BuiltIn => Path is null && !IsRemote;

    public string Architecture { get; init; } = "";

    /// <summary>Reads a text at once and keeps nothing of it.</summary>
    public bool IsEncoder => Encoders.Contains(Architecture);

    /// <summary>0 = unlimited.</summary>
    public int ContextTokens { get; init; }

    /// <summary>0 for generators.</summary>
    public int Dimensions { get; init; }

    /// <summary>All files of the model.</summary>
    public long SizeBytes { get; init; }

    /// <summary>The file at <see cref="Path"/>.</summary>
    public long FileBytes { get; init; }

    public long Parameters { get; init; }

    public string? ChatTemplate { get; init; }

    /// <summary>LoRA adapters a request may name.</summary>
    public IReadOnlyList<AdapterDescription> Adapters { get; init; } = [];

    /// <summary>Not a model but an adapter for one: listed with its model only.</summary>
    public bool IsAdapter { get; init; }

    /// <summary>What decides its memory; null for engines without a file and files that cannot be read.</summary>
    public ModelShape? Shape { get; init; }

    public DateTimeOffset Created { get; init; }

    /// <summary>Why the file cannot be used; null when it looks sound.</summary>
    public string? Problem { get; init; }

    public static ModelDescription Extractive { get; } = new() { Id = ExtractiveEngine.Id, Kind = ModelKind.Chat, Architecture = "extractive" };

    public static ModelDescription NGramEmbedding { get; } = new()
    {
        Id = NGramEmbedder.Id,
        Kind = ModelKind.Embedding,
        Architecture = "ngram",
        Dimensions = NGramEmbedder.Width,
    };

    // Architectures that are encoders whatever their pooling key says.
    private static readonly FrozenSet<string> Encoders = new[]
    {
        "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "neo-bert", "modern-bert", "eurobert", "gemma-embedding", "t5encoder",
    }.ToFrozenSet(StringComparer.Ordinal);

    // llama.cpp's LLAMA_POOLING_TYPE_RANK
    private const int RankPooling = 4;

    /// <summary>Describes a file in the models directory; one that cannot be read is listed with its problem.</summary>
    public static ModelDescription FromFile(FileInfo file)
    {
        var described = new ModelDescription
        {
            Id = System.IO.Path.GetFileNameWithoutExtension(file.Name),
            Kind = ModelKind.Chat,
            Path = file.FullName,
            SizeBytes = file.Length,
            FileBytes = file.Length,
            Created = file.LastWriteTimeUtc,
        };

        try
        {
            var header = GgufReader.Read(file.FullName);
            if (header.Text("general.type") == "adapter")
                return described with { IsAdapter = true, Architecture = header.Architecture };

            // The first file of a model in parts has the metadata; tensors are in all.
            var parts = SplitModel.LaterParts(file.FullName).Select(part => new FileInfo(part)).ToList();
            header = header with { Tensors = [.. header.Tensors, .. parts.SelectMany(part => GgufReader.Read(part.FullName).Tensors)] };
            var kind = KindOf(header);
            return described with
            {
                Kind = kind,
                Architecture = header.Architecture,
                ContextTokens = (int)Math.Clamp(header.OfArchitecture("context_length") ?? 0, 0, int.MaxValue),
                Dimensions = kind == ModelKind.Embedding ? (int)Math.Clamp(header.OfArchitecture("embedding_length") ?? 0, 0, int.MaxValue) : 0,
                SizeBytes = file.Length + parts.Sum(part => part.Length),
                Parameters = header.Parameters,
                ChatTemplate = header.Text("tokenizer.chat_template"),
                Shape = ModelShape.Of(header),
            };
        }
        catch (GgufException exception)
        {
            return described with { Problem = exception.Message };
        }
    }

    private static ModelKind KindOf(GgufHeader header) => header.OfArchitecture("pooling_type") switch
    {
        RankPooling => ModelKind.Reranker,
        > 0 => ModelKind.Embedding,
        _ => Encoders.Contains(header.Architecture) ? ModelKind.Embedding : ModelKind.Chat,
    };
}
