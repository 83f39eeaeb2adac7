using Fleet.Knowledge.Clients;
using Fleet.ServiceDefaults.Security;
using Grpc.Core;
using Contract = Fleet.Contracts.Knowledge.V1;

namespace Fleet.Knowledge.Retrieval;

/// <summary>Search for the other services, with the end user's own token: they can never see more than that user.</summary>
internal sealed class KnowledgeService(SearchService service) : Contract.Knowledge.KnowledgeBase
{
    public override async Task<Contract.SearchResponse> Search(Contract.SearchRequest request, ServerCallContext context)
    {
        if (string.IsNullOrWhiteSpace(request.Query) || request.Query.Length > SearchEndpoints.MaxQueryLength || request.Query.Contains('\0', StringComparison.Ordinal))
            throw Invalid("query: 1 to 8192 characters of text are needed");
        if (request.TopK is < 0 or > SearchEndpoints.MaxTopK)
            throw Invalid("top_k: 1 to 100, or 0 for 8");

        var collections = new List<Guid>();
        foreach (var text in request.CollectionIds.Distinct())
            collections.Add(Guid.TryParse(text, out var id) ? id : throw Invalid("collection_ids: not an id"));

        var method = request.Type switch
        {
            Contract.SearchType.Similarity => SearchMethod.Similarity,
            Contract.SearchType.Lexical => SearchMethod.Lexical,
            Contract.SearchType.Unspecified or Contract.SearchType.Hybrid => SearchMethod.Hybrid,
            _ => throw Invalid("type: unknown"),
        };
        var query = new SearchQuery(
            context.GetHttpContext().User.UserId(), request.Query, request.TopK == 0 ? SearchEndpoints.DefaultTopK : request.TopK, method,
            [.. collections.Distinct()], DocumentFilter.None);

        try
        {
            var result = await service.SearchAsync(query, context.CancellationToken)
                ?? throw new RpcException(new Status(StatusCode.NotFound, "There is no such collection, or it is not yours."));
            var response = new Contract.SearchResponse { TookMs = result.Took.TotalMilliseconds };
            response.Passages.AddRange(result.Passages.Select(Passage));
            return response;
        }
        catch (EmbeddingsUnavailableException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "The embedding model does not answer."));
        }
    }

    public override async Task<Contract.Passage> GetPassage(Contract.GetPassageRequest request, ServerCallContext context)
    {
        if (!Guid.TryParse(request.ChunkId, out var id))
            throw Invalid("chunk_id: not an id");

        return await service.FindPassageAsync(context.GetHttpContext().User.UserId(), id, context.CancellationToken) is { } passage
            ? Passage(passage)
            : throw new RpcException(new Status(StatusCode.NotFound, "The passage is gone or not yours."));
    }

    private static RpcException Invalid(string detail) => new(new Status(StatusCode.InvalidArgument, detail));

    private static Contract.Passage Passage(FoundPassage found)
    {
        var passage = new Contract.Passage
        {
            ChunkId = found.ChunkId.ToString(),
            DocumentId = found.DocumentId.ToString(),
            CollectionId = found.CollectionId.ToString(),
            Title = found.Title,
            Page = found.Page,
            Start = found.Start,
            End = found.End,
            Text = found.Text,
            Score = found.Score,
        };
        passage.Headings.AddRange(found.Headings);
        passage.Scores.Add(new Dictionary<string, double>(found.Scores));
        return passage;
    }
}
