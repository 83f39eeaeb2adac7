using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Security.Claims;
using Fleet.Knowledge.Ingestion;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Knowledge.Documents;

/// <summary>Progress of one document as server-sent events.</summary>
internal static class DocumentEvents
{
    /// <summary>Looked at this often even when no notification came.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    public static async Task<Results<ServerSentEventsResult<Document>, ProblemHttpResult>> Stream(
        Guid id, ClaimsPrincipal user, DocumentStore store, IngestionSignals signals, IHostApplicationLifetime lifetime, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var userId = user.UserId();
        return await store.FindAsync(userId, id, cancellationToken) is null
            ? Problems.NotFound("document")
            : TypedResults.ServerSentEvents(FollowAsync(userId, id, store, signals, time, lifetime.ApplicationStopping, cancellationToken));
    }

    private static async IAsyncEnumerable<SseItem<Document>> FollowAsync(
        Guid userId, Guid id, DocumentStore store, IngestionSignals signals, TimeProvider time, CancellationToken stopping,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Watch before looking: a change in between wakes the next round.
        using var watch = signals.Watch(id);
        Document? last = null;
        while (!cancellationToken.IsCancellationRequested && !stopping.IsCancellationRequested)
        {
            // Deleted meanwhile: nothing more will come.
            if (await store.FindAsync(userId, id, cancellationToken) is not { } document)
                yield break;

            if (document != last)
                yield return new SseItem<Document>(last = document, "status");

            if (document.Status is DocumentStatus.Indexed or DocumentStatus.Failed)
                yield break;

            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stopping);
            await watch.WaitAsync(LookAgain, time, either.Token);
        }
    }
}
