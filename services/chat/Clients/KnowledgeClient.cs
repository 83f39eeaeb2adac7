using Fleet.Chat.Sessions;
using Fleet.Contracts.Knowledge.V1;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Clients;

internal enum KnowledgeOutcome
{
    Found,

    /// <summary>A collection of the session is gone or no longer permitted.</summary>
    UnknownCollection,
    Unavailable,
}

/// <summary>Asks knowledge as the person who asked: results never contain what that person may not read.</summary>
internal sealed partial class KnowledgeClient(ServiceChannels channels, IOptions<GenerationOptions> options, TimeProvider time,
    ILogger<KnowledgeClient> logger)
{
    private const int LongestQuery = 8192;

    public async Task<(KnowledgeOutcome Outcome, IReadOnlyList<Citation> Passages)> SearchAsync(string question, int count,
        IReadOnlyList<Guid> collections, string bearerToken, CancellationToken cancellationToken)
    {
        var request = new SearchRequest { Query = Cut(question), TopK = count, Type = SearchType.Hybrid };
        request.CollectionIds.AddRange(collections.Select(id => id.ToString()));
        var call = new CallOptions(new Metadata { { "authorization", "Bearer " + bearerToken } },
            (time.GetUtcNow() + options.Value.CallTimeout).UtcDateTime, cancellationToken);
        try
        {
            var response = await new Knowledge.KnowledgeClient(channels.Next("knowledge")).SearchAsync(request, call).ConfigureAwait(false);
            return (KnowledgeOutcome.Found, [.. response.Passages.Select((passage, index) => new Citation(index + 1, passage.DocumentId,
                passage.ChunkId, passage.CollectionId, passage.Title, passage.Page, passage.Start, passage.End, passage.Text, passage.Score))]);
        }
        catch (RpcException exception)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Log.SearchFailed(logger, exception.StatusCode);
            return (exception.StatusCode == StatusCode.NotFound ? KnowledgeOutcome.UnknownCollection : KnowledgeOutcome.Unavailable, []);
        }
    }

    private static string Cut(string question)
    {
        if (question.Length <= LongestQuery) return question;
        return question[..(char.IsHighSurrogate(question[LongestQuery - 1]) ? LongestQuery - 1 : LongestQuery)];
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Knowledge answered a search with {StatusCode}")]
        public static partial void SearchFailed(ILogger logger, StatusCode statusCode);
    }
}
