using Fleet.Chat.Data;
using Fleet.Chat.Sessions;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;
using NpgsqlTypes;

namespace Fleet.Chat.Runs;

/// <summary>
/// Runs in the database. Everything an executor writes is fenced by its lease: when another process has taken the run over,
/// nothing it still wants to say is stored. Leases are compared by the database's clock, not by the processes' clocks.
/// </summary>
internal sealed class RunStore(NpgsqlDataSource database, ChatDbContext db, Outbox outbox, TimeProvider time)
{
    /// <summary>Names this process in leases.</summary>
    private static readonly Guid Owner = Guid.NewGuid();

    /// <summary>More history than this is never looked at, whatever the budget.</summary>
    private const int LongestHistory = 400;

    /// <summary>Makes this process the owner. False when the run is over or in other hands.</summary>
    public async Task<bool> ClaimAsync(Guid runId, TimeSpan lease, CancellationToken cancellationToken)
    {
        const string sql = """
            update runs set status = 'running', owner = $2, lease_expires_at = now() + $3, attempts = attempts + 1,
                started_at = coalesce(started_at, now())
            where id = $1 and status in ('queued', 'running') and (owner is null or lease_expires_at < now())
            """;
        await using var command = database.CreateCommand(sql);
        command.Parameters.Add(new() { Value = runId });
        command.Parameters.Add(new() { Value = Owner });
        command.Parameters.Add(new() { Value = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        return await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) == 1;
    }

    /// <summary>Renews the lease and stores the text so far (null = unchanged). Null when the run is no longer ours.</summary>
    /// <returns>Whether somebody asked the run to stop.</returns>
    public async Task<bool?> CheckpointAsync(Guid runId, TimeSpan lease, long seq, string? content, CancellationToken cancellationToken)
    {
        const string sql = """
            with owned as (
                update runs set lease_expires_at = now() + $3, last_seq = $4
                where id = $1 and owner = $2 and status = 'running'
                returning message_id, cancel_requested),
            saved as (
                update messages set content = $5 from owned where messages.id = owned.message_id and $5 is not null)
            select cancel_requested from owned
            """;
        await using var command = database.CreateCommand(sql);
        command.Parameters.Add(new() { Value = runId });
        command.Parameters.Add(new() { Value = Owner });
        command.Parameters.Add(new() { Value = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        command.Parameters.Add(new() { Value = seq });
        command.Parameters.Add(new() { Value = (object?)content ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        return (bool?)await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gives the run back, so that another process may take it up at once.</summary>
    public async Task ReleaseAsync(Guid runId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "update runs set owner = null, lease_expires_at = null where id = $1 and owner = $2 and status = 'running'");
        command.Parameters.Add(new() { Value = runId });
        command.Parameters.Add(new() { Value = Owner });
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Active runs that nobody executes: their owner is silent, gave them back, or died before it began.</summary>
    public async Task<List<Guid>> FindOrphansAsync(TimeSpan queuedFor, CancellationToken cancellationToken)
    {
        const string sql = """
            select id from runs
            where status in ('queued', 'running')
              and (lease_expires_at < now() or (owner is null and (status = 'running' or created_at < now() - $1)))
            order by created_at limit 100
            """;
        await using var command = database.CreateCommand(sql);
        command.Parameters.Add(new() { Value = queuedFor, NpgsqlDbType = NpgsqlDbType.Interval });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        var ids = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false)) ids.Add(reader.GetGuid(0));
        return ids;
    }

    public Task<Run?> FindAsync(Guid userId, Guid runId, CancellationToken cancellationToken) =>
        db.Runs.AsNoTracking().SingleOrDefaultAsync(r => r.Id == runId && r.UserId == userId, cancellationToken);

    public Task<Run> GetAsync(Guid runId, CancellationToken cancellationToken) =>
        db.Runs.AsNoTracking().SingleAsync(r => r.Id == runId, cancellationToken);

    public Task<Message> GetMessageAsync(Guid messageId, CancellationToken cancellationToken) =>
        db.Messages.AsNoTracking().SingleAsync(m => m.Id == messageId, cancellationToken);

    /// <summary>The branch above a message, oldest first; replies that brought no text are left out.</summary>
    public async Task<IReadOnlyList<Message>> HistoryAsync(Message message, CancellationToken cancellationToken)
    {
        if (message.ParentId is not { } parent) return [];

        var branch = await db.Messages.FromSql($"""
            with recursive branch as (
                select m.*, 1 as depth from messages m where m.id = {parent} and m.session_id = {message.SessionId}
                union all
                select m.*, branch.depth + 1 from messages m join branch on m.id = branch.parent_id where branch.depth < {LongestHistory})
            select * from branch
            """).AsNoTracking().ToListAsync(cancellationToken).ConfigureAwait(false);
        return [.. branch.Where(m => m.Content.Length > 0 && m.Status != MessageStatus.Streaming).OrderBy(m => m.CreatedAt).ThenBy(m => m.Id)];
    }

    public Task SavePassagesAsync(Guid runId, IReadOnlyList<Citation> passages, CancellationToken cancellationToken) =>
        db.Runs.Where(r => r.Id == runId && r.Owner == Owner)
            .ExecuteUpdateAsync(set => set.SetProperty(r => r.Passages, passages), cancellationToken);

    /// <summary>True when the run exists, is the person's and was still active.</summary>
    public async Task<bool> RequestCancelAsync(Guid userId, Guid runId, CancellationToken cancellationToken) =>
        await db.Runs.Where(r => r.Id == runId && r.UserId == userId && (r.Status == RunStatus.Queued || r.Status == RunStatus.Running))
            .ExecuteUpdateAsync(set => set.SetProperty(r => r.CancelRequested, true), cancellationToken).ConfigureAwait(false) == 1;

    /// <summary>The reply, the run's end and its event, in one transaction. False when the run is no longer ours: nothing was stored.</summary>
    public async Task<bool> FinishAsync(Guid runId, RunStatus status, long lastSeq, Message reply, IntegrationEvent integrationEvent,
        CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        db.ChangeTracker.Clear();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        var ours = await db.Runs.Where(r => r.Id == runId && r.Owner == Owner && r.Status == RunStatus.Running)
            .ExecuteUpdateAsync(set => set
                .SetProperty(r => r.Status, status)
                .SetProperty(r => r.LastSeq, lastSeq)
                .SetProperty(r => r.FinishedAt, now)
                .SetProperty(r => r.Owner, (Guid?)null)
                .SetProperty(r => r.LeaseExpiresAt, (DateTimeOffset?)null), cancellationToken).ConfigureAwait(false);
        if (ours == 0) return false;

        db.Messages.Update(reply);
        await db.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
        await db.Sessions.Where(s => s.Id == reply.SessionId)
            .ExecuteUpdateAsync(set => set.SetProperty(s => s.UpdatedAt, now), cancellationToken).ConfigureAwait(false);
        await outbox.AddAsync(db.Database.GetDbConnection(), transaction.GetDbTransaction(), integrationEvent, cancellationToken).ConfigureAwait(false);
        await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        return true;
    }
}
