using System.Text.Json;

namespace Fleet.Inference.Models;

/// <summary>A model worth installing; `./fleet models pull` and the administration page offer these.</summary>
internal sealed record RecommendedModel
{
    public required string Id { get; init; }

    /// <summary>Repository on the Hugging Face hub.</summary>
    public required string Repository { get; init; }

    public required string File { get; init; }

    public required ModelKind Kind { get; init; }

    /// <summary>About; the hub says exactly.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Memory with the default context, about.</summary>
    public required long MemoryBytes { get; init; }

    public required string Licence { get; init; }

    /// <summary>Of the file; null where it has not been verified.</summary>
    public string? Sha256 { get; init; }

    public required IReadOnlyList<string> Languages { get; init; }

    public required string Note { get; init; }
}

internal static class RecommendedModels
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    public static IReadOnlyList<RecommendedModel> All { get; } = Read();

    private static List<RecommendedModel> Read()
    {
        using var stream = typeof(RecommendedModels).Assembly.GetManifestResourceStream("Fleet.Inference.Models.models.json")
            ?? throw new InvalidOperationException("models.json is not embedded.");
        return JsonSerializer.Deserialize<List<RecommendedModel>>(stream, Json) ?? [];
    }
}
