using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using Fleet.Chat.Clients;
using Fleet.Chat.Sessions;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Runs;

internal static class RunEndpoints
{
    private const int LongestKey = 200;

    public static void MapRuns(this IEndpointRouteBuilder endpoints)
    {
        var api = endpoints.MapGroup("/api").WithTags("Runs").RequireAuthorization(FleetPolicies.User);
        api.MapPost("sessions/{id:guid}/messages", SendAsync).WithName("SendMessage")
            .WithSummary("Ask; the reply as a stream (Accept: text/event-stream) or by its run");
        api.MapPost("messages/{id:guid}/regenerate", RegenerateAsync).WithName("RegenerateMessage").WithSummary("Another reply to the same question");
        api.MapGet("runs/{id:guid}/events", EventsAsync).WithName("RunEvents").WithSummary("The reply's events from an offset");
        api.MapPost("runs/{id:guid}/cancel", CancelAsync).WithName("CancelRun").WithSummary("Stop a reply; what has come is kept");
    }

    private static async Task<IResult> SendAsync(Guid id, SendMessageRequest request, HttpContext http, RunService runs, RunReader reader,
        RunStore store, ModelCatalogue models, IOptions<RunOptions> options, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(request.Content))
            return Problems.Create(StatusCodes.Status400BadRequest, "validation", "Empty message", "content must not be empty.");
        var key = http.Request.Headers["Idempotency-Key"].ToString();
        if (key.Length > LongestKey)
            return Problems.Create(StatusCodes.Status400BadRequest, "validation", "Invalid Idempotency-Key", $"At most {LongestKey} characters.");
        if (await SessionEndpoints.UnknownModelAsync(models, request.Config?.Model, cancellationToken).ConfigureAwait(false) is { } unknown) return unknown;

        var asker = AskerOf(http, "chat");
        var result = await runs.StartAsync(asker, id,
            new NewMessage(request.Content, request.ParentId, request.Config, key.Length == 0 ? null : key), cancellationToken).ConfigureAwait(false);
        return await AnswerAsync(result, asker, http, reader, store, options.Value, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<IResult> RegenerateAsync(Guid id, HttpContext http, RunService runs, RunReader reader, RunStore store,
        IOptions<RunOptions> options, CancellationToken cancellationToken)
    {
        var asker = AskerOf(http, "chat");
        var result = await runs.RegenerateAsync(asker, id, cancellationToken).ConfigureAwait(false);
        return await AnswerAsync(result, asker, http, reader, store, options.Value, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<IResult> EventsAsync(Guid id, long? after, HttpContext http, RunStore store, RunReader reader,
        IOptions<RunOptions> options, CancellationToken cancellationToken)
    {
        if (after < 0) return Problems.Create(StatusCodes.Status400BadRequest, "validation", "Invalid offset", "after must not be negative.");
        if (await store.FindAsync(http.User.UserId(), id, cancellationToken).ConfigureAwait(false) is not { } run) return Problems.NotFound("run");
        return Stream(reader, run, after ?? 0, options.Value, cancellationToken);
    }

    private static async Task<IResult> CancelAsync(Guid id, HttpContext http, RunService runs, CancellationToken cancellationToken) =>
        await runs.CancelAsync(http.User.UserId(), id, cancellationToken).ConfigureAwait(false)
            ? TypedResults.Accepted($"/api/runs/{id}/events")
            : Problems.NotFound("run");

    private static async Task<IResult> AnswerAsync(StartResult result, Asker asker, HttpContext http, RunReader reader, RunStore store,
        RunOptions options, CancellationToken cancellationToken)
    {
        if (result is not StartResult.Started started) return ProblemOf(result, http.Response);
        if (!WantsStream(http.Request))
            return TypedResults.Accepted($"/api/runs/{started.RunId}/events", new RunAccepted(started.RunId, started.MessageId, started.UserMessageId));

        var run = await store.FindAsync(asker.UserId, started.RunId, cancellationToken).ConfigureAwait(false);
        return Stream(reader, run!, 0, options, cancellationToken);
    }

    /// <summary>What every surface says when a message was not taken.</summary>
    internal static (int Status, string Slug, string Title, Guid? RunId) Describe(StartResult result) => result switch
    {
        StartResult.NoSuchSession => (StatusCodes.Status404NotFound, "not-found", "There is no such session, or it is not yours.", null),
        StartResult.NoSuchMessage => (StatusCodes.Status404NotFound, "not-found", "There is no such message, or it is not yours.", null),
        StartResult.NotRepeatable => (StatusCodes.Status422UnprocessableEntity, "not-a-reply", "Only replies can be generated again.", null),
        StartResult.RunInProgress progress => (StatusCodes.Status409Conflict, "run-in-progress", "A reply is being written in this session; wait for it or stop it.", progress.RunId),
        StartResult.KeyReused => (StatusCodes.Status422UnprocessableEntity, "idempotency-key-reused", "This Idempotency-Key was used for another request.", null),
        StartResult.KeyInFlight => (StatusCodes.Status409Conflict, "idempotency-key-in-flight", "The first request with this Idempotency-Key is still being stored.", null),
        _ => (StatusCodes.Status429TooManyRequests, "too-many-runs", "Too many replies are being written; try again shortly.", null),
    };

    internal static Asker AskerOf(HttpContext http, string surface) =>
        new(http.User.UserId(), http.User.TenantId(), BearerToken.Of(http.Request), surface);

    private static ProblemHttpResult ProblemOf(StartResult result, HttpResponse response)
    {
        var (status, slug, title, runId) = Describe(result);
        if (status == StatusCodes.Status429TooManyRequests) response.Headers.RetryAfter = "1";
        return Problems.Create(status, slug, title, extensions: runId is null ? null : new Dictionary<string, object?> { ["runId"] = runId });
    }

    private static EventStreamResult Stream(RunReader reader, Run run, long after, RunOptions options, CancellationToken cancellationToken) =>
        new(FramesAsync(reader, run, after, cancellationToken).GetAsyncEnumerator(cancellationToken), options.KeepAliveInterval);

    private static async IAsyncEnumerable<StreamFrame> FramesAsync(RunReader reader, Run run, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var entry in reader.ReadAsync(run, after, cancellationToken).ConfigureAwait(false))
            yield return new StreamFrame(entry.Type, entry.Json);
    }

    private static bool WantsStream(HttpRequest request) =>
        request.GetTypedHeaders().Accept.Any(accept => accept.MediaType.Equals("text/event-stream", StringComparison.OrdinalIgnoreCase));
}

public sealed record SendMessageRequest
{
    /// <summary>At most 100 000 characters; what the model can take is decided by its context.</summary>
    [Required]
    [StringLength(100_000)]
    [StorableText]
    public required string Content { get; init; }

    /// <summary>The message it answers; the last of the conversation when not given. An earlier one opens a branch.</summary>
    public Guid? ParentId { get; init; }

    /// <summary>Overrides the session's configuration for this reply.</summary>
    public SessionConfig? Config { get; init; }
}

internal sealed record RunAccepted(Guid RunId, Guid MessageId, Guid UserMessageId);
