using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Chat.Clients;
using Fleet.Chat.Runs;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Chat.Sessions;

internal static class SessionEndpoints
{
    private const int DefaultPage = 50;
    private const int LargestPage = 200;
    private const int RecentCount = 10;

    public static void MapSessions(this IEndpointRouteBuilder endpoints)
    {
        var sessions = endpoints.MapGroup("/api/sessions").WithTags("Sessions").RequireAuthorization(FleetPolicies.User);
        sessions.MapGet("", ListAsync).WithName("ListSessions").WithSummary("Conversations, newest first");
        sessions.MapPost("", CreateAsync).WithName("CreateSession").WithSummary("Open a conversation");
        sessions.MapGet("recent", RecentAsync).WithName("RecentSessions").WithSummary("The last conversations");
        sessions.MapGet("search", SearchAsync).WithName("SearchSessions").WithSummary("Find in titles and messages");
        sessions.MapGet("{id:guid}", GetAsync).WithName("GetSession").WithSummary("One conversation");
        sessions.MapPatch("{id:guid}", PatchAsync).WithName("PatchSession").WithSummary("Change what is given");
        sessions.MapPut("{id:guid}", PutAsync).WithName("PutSession").WithSummary("Replace title and configuration");
        sessions.MapDelete("{id:guid}", DeleteAsync).WithName("DeleteSession").WithSummary("Delete a conversation");
        sessions.MapGet("{id:guid}/messages", MessagesAsync).WithName("ListMessages").WithSummary("Messages, oldest first");
    }

    private static async Task<Results<Ok<CursorPage<SessionResponse>>, ProblemHttpResult>> ListAsync(ClaimsPrincipal user,
        SessionStore store, int? limit, string? cursor, CancellationToken cancellationToken)
    {
        if (!TryPage(limit, cursor, out var size, out var after)) return BadPage();

        var rows = await store.ListAsync(user.UserId(), after, size + 1, cancellationToken).ConfigureAwait(false);
        return TypedResults.Ok(Page(rows, size, SessionResponse.Of, s => new Cursor(s.UpdatedAt, s.Id)));
    }

    private static async Task<Ok<CursorPage<SessionResponse>>> RecentAsync(ClaimsPrincipal user, SessionStore store,
        CancellationToken cancellationToken)
    {
        var rows = await store.ListAsync(user.UserId(), null, RecentCount, cancellationToken).ConfigureAwait(false);
        return TypedResults.Ok(new CursorPage<SessionResponse>([.. rows.Select(SessionResponse.Of)], null));
    }

    private static async Task<Results<Ok<CursorPage<SessionResponse>>, ProblemHttpResult>> SearchAsync(ClaimsPrincipal user,
        SessionStore store, string? q, int? limit, CancellationToken cancellationToken)
    {
        if (!TryPage(limit, null, out var size, out _)) return BadPage();
        if (string.IsNullOrWhiteSpace(q) || q.Length > 200 || !StorableTextAttribute.IsStorable(q))
            return Problems.Create(StatusCodes.Status400BadRequest, "validation", "Invalid search", "q must have 1 to 200 characters.");

        var rows = await store.SearchAsync(user.UserId(), q.Trim(), size, cancellationToken).ConfigureAwait(false);
        return TypedResults.Ok(new CursorPage<SessionResponse>([.. rows.Select(SessionResponse.Of)], null));
    }

    private static async Task<Results<Created<SessionResponse>, ProblemHttpResult>> CreateAsync(SessionRequest? request,
        ClaimsPrincipal user, SessionStore store, ModelCatalogue models, CancellationToken cancellationToken)
    {
        var config = request?.Config ?? new SessionConfig();
        if (await UnknownModelAsync(models, config.Model, cancellationToken).ConfigureAwait(false) is { } problem) return problem;

        var session = await store.CreateAsync(user.UserId(), Trimmed(request?.Title), config, cancellationToken).ConfigureAwait(false);
        return TypedResults.Created($"/api/sessions/{session.Id}", SessionResponse.Of(session));
    }

    private static async Task<Results<Ok<SessionResponse>, ProblemHttpResult>> GetAsync(Guid id, ClaimsPrincipal user,
        SessionStore store, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(user.UserId(), id, cancellationToken).ConfigureAwait(false) is not { } session)
            return Problems.NotFound("session");

        var run = await store.ActiveRunAsync(id, cancellationToken).ConfigureAwait(false);
        return TypedResults.Ok(SessionResponse.Of(session) with { ActiveRunId = run?.Id });
    }

    private static async Task<Results<Ok<SessionResponse>, ProblemHttpResult>> PatchAsync(Guid id, SessionRequest request,
        ClaimsPrincipal user, SessionStore store, ModelCatalogue models, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(user.UserId(), id, cancellationToken).ConfigureAwait(false) is not { } session)
            return Problems.NotFound("session");
        if (await UnknownModelAsync(models, request.Config?.Model, cancellationToken).ConfigureAwait(false) is { } problem) return problem;

        session.Title = Trimmed(request.Title) ?? session.Title;
        session.Pinned = request.Pinned ?? session.Pinned;
        session.Config = session.Config.With(request.Config);
        await store.SaveAsync(session, cancellationToken).ConfigureAwait(false);
        return TypedResults.Ok(SessionResponse.Of(session));
    }

    private static async Task<Results<Ok<SessionResponse>, ProblemHttpResult>> PutAsync(Guid id, SessionRequest request,
        ClaimsPrincipal user, SessionStore store, ModelCatalogue models, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(user.UserId(), id, cancellationToken).ConfigureAwait(false) is not { } session)
            return Problems.NotFound("session");
        if (await UnknownModelAsync(models, request.Config?.Model, cancellationToken).ConfigureAwait(false) is { } problem) return problem;

        session.Title = Trimmed(request.Title);
        session.Pinned = request.Pinned ?? false;
        session.Config = request.Config ?? new SessionConfig();
        await store.SaveAsync(session, cancellationToken).ConfigureAwait(false);
        return TypedResults.Ok(SessionResponse.Of(session));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(Guid id, ClaimsPrincipal user, SessionStore store,
        RunService runs, CancellationToken cancellationToken)
    {
        var userId = user.UserId();
        if (await store.FindAsync(userId, id, cancellationToken).ConfigureAwait(false) is null) return Problems.NotFound("session");

        // Nobody will read the reply any more: it gives its slot back.
        if (await store.ActiveRunAsync(id, cancellationToken).ConfigureAwait(false) is { } run)
            await runs.CancelAsync(userId, run.Id, cancellationToken).ConfigureAwait(false);
        await store.DeleteAsync(userId, id, cancellationToken).ConfigureAwait(false);
        return TypedResults.NoContent();
    }

    private static async Task<Results<Ok<CursorPage<MessageResponse>>, ProblemHttpResult>> MessagesAsync(Guid id, ClaimsPrincipal user,
        SessionStore store, int? limit, string? cursor, CancellationToken cancellationToken)
    {
        if (!TryPage(limit, cursor, out var size, out var after)) return BadPage();
        if (await store.FindAsync(user.UserId(), id, cancellationToken).ConfigureAwait(false) is null) return Problems.NotFound("session");

        var rows = await store.MessagesAsync(id, after, size + 1, cancellationToken).ConfigureAwait(false);
        return TypedResults.Ok(Page(rows, size, MessageResponse.Of, m => new Cursor(m.CreatedAt, m.Id)));
    }

    /// <summary>A problem when the model is certainly not one to chat with; while inference is away the question stays open until the run.</summary>
    internal static async Task<ProblemHttpResult?> UnknownModelAsync(ModelCatalogue models, string? model, CancellationToken cancellationToken)
    {
        if (model is null || await models.IsChatModelAsync(model, cancellationToken).ConfigureAwait(false) is not false) return null;

        return Problems.Create(StatusCodes.Status422UnprocessableEntity, "unknown-model", "Unknown model",
            $"There is no chat model '{model}'. GET /api/llm/models lists what there is.");
    }

    private static string? Trimmed(string? title) => string.IsNullOrWhiteSpace(title) ? null : title.Trim();

    private static bool TryPage(int? limit, string? cursor, out int size, out Cursor? after)
    {
        size = limit ?? DefaultPage;
        after = null;
        if (size is < 1 or > LargestPage) return false;
        if (string.IsNullOrEmpty(cursor)) return true;
        if (!Cursor.TryDecode(cursor, out var decoded)) return false;
        after = decoded;
        return true;
    }

    private static ProblemHttpResult BadPage() => Problems.Create(StatusCodes.Status400BadRequest, "validation", "Invalid page",
        $"limit must lie between 1 and {LargestPage}; cursor must be a nextCursor of this list.");

    private static CursorPage<TItem> Page<TRow, TItem>(List<TRow> rows, int size, Func<TRow, TItem> map, Func<TRow, Cursor> cursor) =>
        new([.. rows.Take(size).Select(map)], rows.Count > size ? cursor(rows[size - 1]).Encode() : null);
}

/// <summary>Body of POST, PUT and PATCH.</summary>
public sealed record SessionRequest
{
    [StringLength(200)]
    [StorableText]
    public string? Title { get; init; }

    public bool? Pinned { get; init; }
    public SessionConfig? Config { get; init; }
}

/// <param name="ActiveRunId">The reply being written now; null when none is.</param>
internal sealed record SessionResponse(Guid Id, string? Title, bool Pinned, SessionConfig Config,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, Guid? ActiveRunId = null)
{
    public static SessionResponse Of(ChatSession session) =>
        new(session.Id, session.Title, session.Pinned, session.Config, session.CreatedAt, session.UpdatedAt);
}
