using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Knowledge.Documents;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Knowledge.Collections;

public sealed record CreateCollection(
    [Required(AllowEmptyStrings = false), StringLength(200, MinimumLength = 1)] string? Name,
    [StringLength(2000)] string? Description);

public sealed record UpdateCollection(
    [StringLength(200, MinimumLength = 1)] string? Name,
    [StringLength(2000)] string? Description);

internal static class CollectionEndpoints
{
    public static void AddCollections(this WebApplicationBuilder builder)
    {
        // Called here, not only in ServiceDefaults, so that the validation generator sees this assembly's records.
        builder.Services.AddValidation();
        builder.Services.AddSingleton<CollectionStore>();
    }

    public static void MapCollections(this WebApplication app)
    {
        var group = app.MapGroup("/api/collections").WithTags("Collections").RequireAuthorization(FleetPolicies.User);

        group.MapGet("", List).WithName("ListCollections").WithSummary("Your collections, newest first");
        group.MapPost("", Create).WithName("CreateCollection").WithSummary("A new, empty collection");
        group.MapGet("/{id:guid}", Get).WithName("GetCollection").WithSummary("One collection with its counts");
        group.MapPatch("/{id:guid}", Update).WithName("UpdateCollection").WithSummary("Rename or describe");
        group.MapDelete("/{id:guid}", Delete).WithName("DeleteCollection").WithSummary("Delete with all documents, vectors and files");
    }

    private static async Task<Results<Ok<CursorPage<Collection>>, ProblemHttpResult>> List(
        string? cursor, ClaimsPrincipal user, CollectionStore store, CancellationToken cancellationToken, [Range(1, 200)] int limit = 50)
    {
        Cursor? before = null;
        if (cursor is not null)
        {
            if (!Cursor.TryDecode(cursor, out var decoded))
                return Problems.Create(StatusCodes.Status400BadRequest, "invalid-cursor", "The cursor is not one of ours");

            before = decoded;
        }

        var found = await store.ListAsync(user.UserId(), before, limit + 1, cancellationToken);
        var page = found.Take(limit).ToList();
        var next = found.Count > limit ? new Cursor(page[^1].CreatedAt, page[^1].Id).Encode() : null;
        return TypedResults.Ok(new CursorPage<Collection>(page, next));
    }

    private static async Task<Results<Created<Collection>, ValidationProblem>> Create(
        CreateCollection body, ClaimsPrincipal user, CollectionStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var name = body.Name!.Trim();
        if (name.Length == 0 || HasNul(name) || HasNul(body.Description))
            return BadName();

        var collection = await store.CreateAsync(user.UserId(), name, body.Description ?? "", time.GetUtcNow(), cancellationToken);
        return TypedResults.Created($"/api/collections/{collection.Id}", collection);
    }

    private static async Task<Results<Ok<Collection>, ProblemHttpResult>> Get(
        Guid id, ClaimsPrincipal user, CollectionStore store, CancellationToken cancellationToken)
    {
        var collection = await store.FindAsync(user.UserId(), id, cancellationToken);
        return collection is null ? Problems.NotFound("collection") : TypedResults.Ok(collection);
    }

    private static async Task<Results<Ok<Collection>, ValidationProblem, ProblemHttpResult>> Update(
        Guid id, UpdateCollection body, ClaimsPrincipal user, CollectionStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var name = body.Name?.Trim();
        if (name is "" || HasNul(name) || HasNul(body.Description))
            return BadName();

        if (!await store.UpdateAsync(user.UserId(), id, name, body.Description, time.GetUtcNow(), cancellationToken))
            return Problems.NotFound("collection");

        var collection = await store.FindAsync(user.UserId(), id, cancellationToken);
        return collection is null ? Problems.NotFound("collection") : TypedResults.Ok(collection);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> Delete(
        Guid id, ClaimsPrincipal user, CollectionStore store, DocumentFiles files, CancellationToken cancellationToken)
    {
        if (await store.DeleteAsync(user.UserId(), id, cancellationToken) is not { } documents)
            return Problems.NotFound("collection");

        foreach (var document in documents)
            files.Delete(document);

        return TypedResults.NoContent();
    }

    private static ValidationProblem BadName() => TypedResults.ValidationProblem(
        new Dictionary<string, string[]> { ["name"] = ["A name and a description hold visible text and no NUL characters."] });

    // PostgreSQL's text cannot hold it.
    private static bool HasNul(string? text) => text?.Contains('\0', StringComparison.Ordinal) == true;
}
