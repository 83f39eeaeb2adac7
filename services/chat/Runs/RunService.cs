using System.Data;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Fleet.Chat.Data;
using Fleet.Chat.Sessions;
using Fleet.Chat.Telemetry;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace Fleet.Chat.Runs;

/// <summary>Who asks, and over which surface.</summary>
/// <param name="BearerToken">For knowledge, on this person's behalf.</param>
internal sealed record Asker(Guid UserId, string TenantId, string? BearerToken, string Surface);

/// <param name="ParentId">The message it answers; null = the last of the conversation.</param>
internal sealed record NewMessage(string Content, Guid? ParentId, SessionConfig? Config, string? IdempotencyKey);

internal abstract record StartResult
{
    /// <param name="IsReplay">The same request had been stored before; nothing new was.</param>
    public sealed record Started(Guid RunId, Guid MessageId, Guid UserMessageId, bool IsReplay) : StartResult;

    public sealed record NoSuchSession : StartResult;

    public sealed record NoSuchMessage : StartResult;

    public sealed record NotRepeatable : StartResult;

    /// <param name="RunId">The reply that is being written.</param>
    public sealed record RunInProgress(Guid? RunId) : StartResult;

    public sealed record KeyReused : StartResult;

    public sealed record KeyInFlight : StartResult;

    public sealed record TooBusy : StartResult;
}

/// <summary>Opens and stops runs. What it returns as started is stored: question, reply to come, run and event in one transaction.</summary>
internal sealed class RunService(ChatDbContext db, RunStore store, RunQueue queue, Outbox outbox, ChatMetrics metrics, TimeProvider time)
{
    private const int TitleLength = 40;

    public async Task<StartResult> StartAsync(Asker asker, Guid sessionId, NewMessage message, CancellationToken cancellationToken)
    {
        if (!queue.TryEnter()) return new StartResult.TooBusy();

        StartResult? result = null;
        try
        {
            result = await StoreAsync(asker, sessionId, message, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (result is not StartResult.Started { IsReplay: false }) queue.Leave();
        }

        Enqueue(result, asker);
        return result;
    }

    /// <summary>Another reply to the same question, beside the first one.</summary>
    public async Task<StartResult> RegenerateAsync(Asker asker, Guid messageId, CancellationToken cancellationToken)
    {
        var reply = await db.Messages.AsNoTracking().SingleOrDefaultAsync(
            m => m.Id == messageId && db.Sessions.Any(s => s.Id == m.SessionId && s.UserId == asker.UserId && s.DeletedAt == null),
            cancellationToken).ConfigureAwait(false);
        if (reply is null) return new StartResult.NoSuchMessage();
        if (reply.Role != MessageRole.Assistant || reply.ParentId is not { } questionId) return new StartResult.NotRepeatable();
        if (!queue.TryEnter()) return new StartResult.TooBusy();

        StartResult? result = null;
        try
        {
            var session = await db.Sessions.SingleAsync(s => s.Id == reply.SessionId, cancellationToken).ConfigureAwait(false);
            var question = await db.Messages.SingleAsync(m => m.Id == questionId, cancellationToken).ConfigureAwait(false);
            result = await InsertAsync(asker, session, question, session.Config, null, null, isNew: false, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (result is not StartResult.Started) queue.Leave();
        }

        Enqueue(result, asker);
        return result;
    }

    /// <summary>Asks a run to stop. False when there is no such run of this person; true also when it has ended by itself.</summary>
    public async Task<bool> CancelAsync(Guid userId, Guid runId, CancellationToken cancellationToken)
    {
        if (await store.RequestCancelAsync(userId, runId, cancellationToken).ConfigureAwait(false))
        {
            queue.Stop(runId);
            return true;
        }

        return await store.FindAsync(userId, runId, cancellationToken).ConfigureAwait(false) is not null;
    }

    private void Enqueue(StartResult result, Asker asker)
    {
        if (result is not StartResult.Started { IsReplay: false } started) return;
        metrics.RunStarted(asker.Surface);
        queue.Enqueue(new RunWork(started.RunId, asker.BearerToken));
    }

    private async Task<StartResult> StoreAsync(Asker asker, Guid sessionId, NewMessage message, CancellationToken cancellationToken)
    {
        var session = await db.Sessions.SingleOrDefaultAsync(
            s => s.Id == sessionId && s.UserId == asker.UserId && s.DeletedAt == null, cancellationToken).ConfigureAwait(false);
        if (session is null) return new StartResult.NoSuchSession();

        await using var keyLock = await KeyLock.TryTakeAsync(db, asker.UserId, message.IdempotencyKey, cancellationToken).ConfigureAwait(false);
        if (keyLock is null) return new StartResult.KeyInFlight();

        var hash = message.IdempotencyKey is null ? null : HashOf(sessionId, message);
        if (hash is not null && await FindByKeyAsync(asker.UserId, message.IdempotencyKey!, cancellationToken).ConfigureAwait(false) is { } earlier)
        {
            return earlier.RequestHash.AsSpan().SequenceEqual(hash)
                ? new StartResult.Started(earlier.Id, earlier.MessageId, earlier.UserMessageId, IsReplay: true)
                : new StartResult.KeyReused();
        }

        var parentId = message.ParentId;
        if (parentId is { } given)
        {
            if (!await db.Messages.AnyAsync(m => m.Id == given && m.SessionId == sessionId, cancellationToken).ConfigureAwait(false))
                return new StartResult.NoSuchMessage();
        }
        else
        {
            parentId = await db.Messages.Where(m => m.SessionId == sessionId).OrderByDescending(m => m.CreatedAt).ThenByDescending(m => m.Id)
                .Select(m => (Guid?)m.Id).FirstOrDefaultAsync(cancellationToken).ConfigureAwait(false);
        }

        var now = Now();
        var question = new Message
        {
            Id = Guid.CreateVersion7(now),
            SessionId = sessionId,
            ParentId = parentId,
            Role = MessageRole.User,
            Content = message.Content,
            Status = MessageStatus.Complete,
            CreatedAt = now,
        };
        return await InsertAsync(asker, session, question, session.Config.With(message.Config), message.IdempotencyKey, hash, isNew: true,
            cancellationToken).ConfigureAwait(false);
    }

    private async Task<StartResult> InsertAsync(Asker asker, ChatSession session, Message question, SessionConfig config, string? key,
        byte[]? hash, bool isNew, CancellationToken cancellationToken)
    {
        // One microsecond after the question: PostgreSQL keeps no finer time, and the order of the list is the order of the talk.
        var now = Now().AddMicroseconds(1);
        var reply = new Message
        {
            Id = Guid.CreateVersion7(now),
            SessionId = session.Id,
            ParentId = question.Id,
            Role = MessageRole.Assistant,
            Content = "",
            Status = MessageStatus.Streaming,
            Model = config.Model,
            Parameters = config,
            CreatedAt = now,
        };
        var run = new Run
        {
            Id = Guid.CreateVersion7(now),
            SessionId = session.Id,
            UserId = asker.UserId,
            TenantId = asker.TenantId,
            UserMessageId = question.Id,
            MessageId = reply.Id,
            Surface = asker.Surface,
            Status = RunStatus.Queued,
            IdempotencyKey = key,
            RequestHash = hash,
            CreatedAt = now,
        };

        session.UpdatedAt = now;
        session.Title ??= TitleOf(question.Content);
        if (isNew) db.Messages.Add(question);
        db.Messages.Add(reply);
        db.Runs.Add(run);
        var ambient = db.Database.CurrentTransaction;
        var transaction = ambient ?? await db.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await db.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await outbox.AddAsync(db.Database.GetDbConnection(), transaction.GetDbTransaction(), new ChatMessageReceived
            {
                UserId = asker.UserId,
                SessionId = session.Id,
                MessageId = question.Id,
                RunId = run.Id,
                Characters = question.Content.Length,
            }, cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (DbUpdateException exception) when (exception.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "runs_one_active" })
        {
            await transaction.RollbackAsync(cancellationToken).ConfigureAwait(false);
            db.ChangeTracker.Clear();
            var active = await db.Runs.Where(r => r.SessionId == session.Id && (r.Status == RunStatus.Queued || r.Status == RunStatus.Running))
                .Select(r => (Guid?)r.Id).FirstOrDefaultAsync(cancellationToken).ConfigureAwait(false);
            return new StartResult.RunInProgress(active);
        }
        finally
        {
            if (ambient is null) await transaction.DisposeAsync().ConfigureAwait(false);
        }

        return new StartResult.Started(run.Id, reply.Id, question.Id, IsReplay: false);
    }

    private Task<Run?> FindByKeyAsync(Guid userId, string key, CancellationToken cancellationToken) =>
        db.Runs.AsNoTracking().SingleOrDefaultAsync(r => r.UserId == userId && r.IdempotencyKey == key, cancellationToken);

    private static byte[] HashOf(Guid sessionId, NewMessage message) =>
        SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(new { sessionId, message.Content, message.ParentId, message.Config }));

    private static string? TitleOf(string content)
    {
        var line = string.Join(' ', content.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        if (line.Length == 0) return null;
        if (line.Length <= TitleLength) return line;
        // Whole characters only: a cut surrogate pair would be stored as a question mark.
        var end = char.IsHighSurrogate(line[TitleLength - 1]) ? TitleLength - 1 : TitleLength;
        return line[..end].TrimEnd() + "…";
    }

    /// <summary>In whole microseconds, as the database will give it back.</summary>
    private DateTimeOffset Now()
    {
        var now = time.GetUtcNow();
        return now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMicrosecond));
    }

    /// <summary>Holds an idempotency key while its first request is being stored, across replicas: an advisory lock of the transaction.</summary>
    private sealed class KeyLock(IDbContextTransaction? transaction) : IAsyncDisposable
    {
        public static async Task<KeyLock?> TryTakeAsync(ChatDbContext db, Guid userId, string? key, CancellationToken cancellationToken)
        {
            if (key is null) return new KeyLock(null);

            var transaction = await db.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken).ConfigureAwait(false);
            var id = BitConverter.ToInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"{userId}/{key}")));
            var taken = await db.Database.SqlQuery<bool>($"select pg_try_advisory_xact_lock({id}) as \"Value\"")
                .SingleAsync(cancellationToken).ConfigureAwait(false);
            if (taken) return new KeyLock(transaction);
            await transaction.DisposeAsync().ConfigureAwait(false);
            return null;
        }

        public ValueTask DisposeAsync() => transaction?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
