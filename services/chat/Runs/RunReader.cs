using System.Runtime.CompilerServices;
using Fleet.Chat.Sessions;

namespace Fleet.Chat.Runs;

/// <summary>
/// A run as any view reads it: its log while there is one, and for a run that ended longer ago the stored reply as the last event.
/// </summary>
internal sealed class RunReader(IRunLog log, IServiceScopeFactory scopes)
{
    /// <summary>Events after <paramref name="after"/> until the run ends. The caller has checked that the run is the reader's.</summary>
    public async IAsyncEnumerable<RunEvent> ReadAsync(Run run, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (!run.IsActive && await log.SnapshotAsync(run.Id, cancellationToken).ConfigureAwait(false) is not [.., { IsLast: true }])
        {
            await foreach (var entry in FromStoreAsync(run, after, cancellationToken).ConfigureAwait(false)) yield return entry;
            yield break;
        }

        await foreach (var entry in log.ReadAsync(run.Id, after, cancellationToken).ConfigureAwait(false))
        {
            yield return entry;
            if (entry.IsLast) yield break;
        }
    }

    /// <summary>The log is forgotten: the whole text as one token for a reader who has nothing, then the end.</summary>
    private async IAsyncEnumerable<RunEvent> FromStoreAsync(Run run, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var store = scope.ServiceProvider.GetRequiredService<RunStore>();
        var reply = await store.GetMessageAsync(run.MessageId, cancellationToken).ConfigureAwait(false);
        var end = Math.Max(run.LastSeq, 3);
        if (after <= 0)
        {
            yield return RunEvent.Started(1, run.Id, run.MessageId, run.UserMessageId);
            end = 2;
            if (reply.Content.Length > 0)
            {
                yield return RunEvent.ForToken(2, reply.Content);
                end = 3;
            }
        }
        else if (after >= end)
        {
            yield break;
        }

        var view = MessageResponse.Of(reply);
        yield return reply.Error is { } error ? RunEvent.Failed(end, error, view) : RunEvent.Completed(end, view);
    }
}
