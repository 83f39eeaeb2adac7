using Fleet.Chat.Data;
using Fleet.Chat.Runs;
using Fleet.ServiceDefaults.Http;
using Microsoft.EntityFrameworkCore;

namespace Fleet.Chat.Sessions;

/// <summary>Conversations and messages in the database. Every query carries its owner: another person's row does not exist here.</summary>
internal sealed class SessionStore(ChatDbContext db, TimeProvider time)
{
    public async Task<ChatSession> CreateAsync(Guid userId, string? title, SessionConfig config, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var session = new ChatSession
        {
            Id = Guid.CreateVersion7(now),
            UserId = userId,
            Title = title,
            Config = config,
            CreatedAt = now,
            UpdatedAt = now,
        };
        db.Sessions.Add(session);
        await db.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
        return session;
    }

    public Task<ChatSession?> FindAsync(Guid userId, Guid id, CancellationToken cancellationToken) =>
        Owned(userId).SingleOrDefaultAsync(s => s.Id == id, cancellationToken);

    public async Task<List<ChatSession>> ListAsync(Guid userId, Cursor? after, int limit, CancellationToken cancellationToken)
    {
        var sessions = Owned(userId).AsNoTracking();
        if (after is { } cursor)
        {
            sessions = sessions.Where(s => EF.Functions.LessThan(
                ValueTuple.Create(s.UpdatedAt, s.Id), ValueTuple.Create(cursor.Time, cursor.Id)));
        }

        return await sessions.OrderByDescending(s => s.UpdatedAt).ThenByDescending(s => s.Id)
            .Take(limit).ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Conversations whose title or any finished message contains the text, whatever its case; newest first.</summary>
    public async Task<List<ChatSession>> SearchAsync(Guid userId, string text, int limit, CancellationToken cancellationToken)
    {
        const string escape = "\\";
        var pattern = "%" + text.Replace(@"\", @"\\", StringComparison.Ordinal)
            .Replace("%", @"\%", StringComparison.Ordinal).Replace("_", @"\_", StringComparison.Ordinal) + "%";
        return await Owned(userId).AsNoTracking()
            .Where(s => EF.Functions.ILike(s.Title!, pattern, escape)
                || db.Messages.Any(m => m.SessionId == s.Id && m.Status != MessageStatus.Streaming
                    && EF.Functions.ILike(m.Content, pattern, escape)))
            .OrderByDescending(s => s.UpdatedAt).ThenByDescending(s => s.Id)
            .Take(limit).ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    public async Task SaveAsync(ChatSession session, CancellationToken cancellationToken)
    {
        session.UpdatedAt = time.GetUtcNow();
        await db.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Hides the conversation. False when there is none, or it is somebody else's.</summary>
    public async Task<bool> DeleteAsync(Guid userId, Guid id, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var deleted = await Owned(userId).Where(s => s.Id == id)
            .ExecuteUpdateAsync(set => set.SetProperty(s => s.DeletedAt, now), cancellationToken).ConfigureAwait(false);
        return deleted > 0;
    }

    /// <summary>Messages oldest first.</summary>
    public async Task<List<Message>> MessagesAsync(Guid sessionId, Cursor? after, int limit, CancellationToken cancellationToken)
    {
        var messages = db.Messages.AsNoTracking().Where(m => m.SessionId == sessionId);
        if (after is { } cursor)
        {
            messages = messages.Where(m => EF.Functions.GreaterThan(
                ValueTuple.Create(m.CreatedAt, m.Id), ValueTuple.Create(cursor.Time, cursor.Id)));
        }

        return await messages.OrderBy(m => m.CreatedAt).ThenBy(m => m.Id)
            .Take(limit).ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    public Task<Run?> ActiveRunAsync(Guid sessionId, CancellationToken cancellationToken) =>
        db.Runs.AsNoTracking().SingleOrDefaultAsync(
            r => r.SessionId == sessionId && (r.Status == RunStatus.Queued || r.Status == RunStatus.Running), cancellationToken);

    public Task<Run?> LatestRunAsync(Guid userId, Guid sessionId, CancellationToken cancellationToken) =>
        db.Runs.AsNoTracking().Where(r => r.SessionId == sessionId && r.UserId == userId)
            .OrderByDescending(r => r.CreatedAt).FirstOrDefaultAsync(cancellationToken);

    public async Task<Message?> FindMessageAsync(Guid userId, Guid messageId, CancellationToken cancellationToken) =>
        await db.Messages.AsNoTracking()
            .Where(m => m.Id == messageId && Owned(userId).Any(s => s.Id == m.SessionId))
            .SingleOrDefaultAsync(cancellationToken).ConfigureAwait(false);

    private IQueryable<ChatSession> Owned(Guid userId) => db.Sessions.Where(s => s.UserId == userId && s.DeletedAt == null);
}
