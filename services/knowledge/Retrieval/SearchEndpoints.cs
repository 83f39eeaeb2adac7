using System.Security.Claims;
using System.Text.Json.Serialization;
using Fleet.Knowledge.Clients;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Retrieval;

/// <summary>Unknown conditions are refused: a filter that silently does nothing would show too much.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SearchFilters(
    [property: JsonPropertyName("document_ids")] Guid[]? DocumentIds,
    [property: JsonPropertyName("media_types")] string[]? MediaTypes,
    [property: JsonPropertyName("uploaded_after")] DateTimeOffset? UploadedAfter,
    [property: JsonPropertyName("uploaded_before")] DateTimeOffset? UploadedBefore);

/// <param name="Query">1–8192 characters.</param>
/// <param name="TopK">1–100; 8 when left out.</param>
/// <param name="SearchType">similarity, lexical or hybrid (default).</param>
/// <param name="Collections">Ids; all of yours when left out.</param>
public sealed record SearchRequest(
    string? Query,
    [property: JsonPropertyName("top_k")] int? TopK,
    [property: JsonPropertyName("search_type")] string? SearchType,
    SearchFilters? Filters,
    Guid[]? Collections);

/// <param name="Start">UTF-16 offset in the document's text (<c>GET …/content?as=text</c>), inclusive.</param>
/// <param name="End">Exclusive.</param>
/// <param name="Score">Higher is better; comparable within one answer only.</param>
public sealed record SearchHit(
    Guid ChunkId, Guid DocumentId, Guid CollectionId, string Title, int Page, int Start, int End, string Text, IReadOnlyList<string> Headings,
    double Score, IReadOnlyDictionary<string, double> Scores);

/// <param name="Degraded">Vectors were not available; found by words only.</param>
public sealed record SearchResponse(
    IReadOnlyList<SearchHit> Results, [property: JsonPropertyName("took_ms")] double TookMs, bool Degraded);

internal static class SearchEndpoints
{
    public const int MaxQueryLength = 8192;
    public const int MaxTopK = 100;
    public const int DefaultTopK = 8;
    private const int MaxIds = 1000;

    public static void AddRetrieval(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<IValidateOptions<RetrievalOptions>, RetrievalOptionsValidator>();
        builder.Services.AddOptions<RetrievalOptions>().BindConfiguration(RetrievalOptions.SectionName).ValidateOnStart();
        builder.Services.AddSingleton<RetrievalStore>();
        builder.Services.AddScoped<SearchService>();
        // The catch-all route for unknown gRPC services would answer 404 to a POST on /api/collections without a JSON content type.
        builder.Services.AddGrpc(grpc => grpc.IgnoreUnknownServices = true);
    }

    public static void MapRetrieval(this WebApplication app)
    {
        app.MapPost("/api/v1/search/semantic", Search).WithTags("Search").WithName("SemanticSearch")
            .WithSummary("Passages of your documents that answer a question").RequireAuthorization(FleetPolicies.User);
        app.MapGrpcService<KnowledgeService>().RequireAuthorization(FleetPolicies.User);
    }

    private static async Task<Results<Ok<SearchResponse>, ValidationProblem, ProblemHttpResult>> Search(
        SearchRequest body, ClaimsPrincipal user, SearchService service, CancellationToken cancellationToken)
    {
        var errors = new Dictionary<string, string[]>();
        var method = Validate(body, errors);
        if (errors.Count > 0)
            return TypedResults.ValidationProblem(errors);

        var filter = body.Filters is { } filters
            ? new DocumentFilter(filters.DocumentIds, filters.MediaTypes, filters.UploadedAfter, filters.UploadedBefore)
            : DocumentFilter.None;
        var query = new SearchQuery(
            user.UserId(), body.Query!, body.TopK ?? DefaultTopK, method, body.Collections?.Distinct().ToArray() ?? [], filter);
        try
        {
            return await service.SearchAsync(query, cancellationToken) is { } result
                ? TypedResults.Ok(new SearchResponse([.. result.Passages.Select(Hit)], Math.Round(result.Took.TotalMilliseconds, 2), result.IsDegraded))
                : Problems.NotFound("collection");
        }
        catch (EmbeddingsUnavailableException)
        {
            return Problems.Create(StatusCodes.Status503ServiceUnavailable, "embeddings-unavailable", "Search by meaning is not available now",
                "The embedding model does not answer. Search with search_type lexical or hybrid, or try again later.");
        }
    }

    private static SearchMethod Validate(SearchRequest body, Dictionary<string, string[]> errors)
    {
        if (string.IsNullOrWhiteSpace(body.Query) || body.Query.Length > MaxQueryLength || body.Query.Contains('\0', StringComparison.Ordinal))
            errors["query"] = ["1 to 8192 characters of text are needed."];

        if (body.TopK is < 1 or > MaxTopK)
            errors["top_k"] = ["A number from 1 to 100."];

        if (body.Collections?.Length > MaxIds)
            errors["collections"] = ["At most 1000 collections."];

        if (body.Filters is { } filters && (filters.DocumentIds?.Length > MaxIds || filters.MediaTypes?.Length > MaxIds || filters.MediaTypes?.Any(type => type is null) == true))
            errors["filters"] = ["At most 1000 values per filter, none of them null."];

        switch (body.SearchType?.ToLowerInvariant())
        {
            case null or "hybrid":
                return SearchMethod.Hybrid;
            case "similarity":
                return SearchMethod.Similarity;
            case "lexical":
                return SearchMethod.Lexical;
            case "mmr":
                errors["search_type"] = ["mmr is not offered yet. Use similarity, lexical or hybrid."];
                return default;
            default:
                errors["search_type"] = ["One of similarity, lexical or hybrid."];
                return default;
        }
    }

    private static SearchHit Hit(FoundPassage passage) => new(
        passage.ChunkId, passage.DocumentId, passage.CollectionId, passage.Title, passage.Page, passage.Start, passage.End, passage.Text,
        passage.Headings, passage.Score, passage.Scores);
}
