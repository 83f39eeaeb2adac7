using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Auth.Users;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Auth.ApiKeys;

/// <param name="ExpiresAt">When the key ends by itself; without it, when it is revoked.</param>
public sealed record CreateApiKeyRequest([property: Required, StringLength(80, MinimumLength = 1), SingleLine] string Name, DateTimeOffset? ExpiresAt);

public sealed record ApiKeyResponse(
    Guid Id, string Name, string Prefix, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, DateTimeOffset? LastUsedAt);

/// <param name="Secret">The key itself, shown this once.</param>
public sealed record CreatedApiKeyResponse(
    Guid Id, string Name, string Prefix, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, string Secret);

internal static class ApiKeyEndpoints
{
    private const int MaxPage = 100;

    public static WebApplicationBuilder AddApiKeys(this WebApplicationBuilder builder)
    {
        builder.Services.AddScoped<ApiKeyService>();
        // This service answers HTTP too: gRPC's catch-all route must not take its unknown paths.
        builder.Services.AddGrpc(options => options.IgnoreUnknownServices = true);
        return builder;
    }

    public static IEndpointRouteBuilder MapApiKeys(this IEndpointRouteBuilder endpoints)
    {
        var group = endpoints.MapGroup("/api/auth/keys").WithTags("API keys").RequireAuthorization(UserPolicies.Account);
        group.MapGet("", ListAsync).WithName("ListApiKeys").WithSummary("The API keys of this account");
        group.MapPost("", CreateAsync).WithName("CreateApiKey").WithSummary("Make an API key; its secret is shown once");
        group.MapDelete("/{id:guid}", RevokeAsync).WithName("RevokeApiKey").WithSummary("Revoke an API key");

        // The key is the credential here, as a password is at sign-in.
        endpoints.MapGrpcService<ApiKeyExchange>().AllowAnonymous();
        return endpoints;
    }

    private static async Task<Results<Ok<CursorPage<ApiKeyResponse>>, ValidationProblem>> ListAsync(
        ClaimsPrincipal caller, ApiKeyService keys, CancellationToken cancellationToken, [Range(1, MaxPage)] int limit = 20, string? cursor = null)
    {
        Cursor? after = null;
        if (cursor is not null)
        {
            if (!Cursor.TryDecode(cursor, out var decoded))
                return TypedResults.ValidationProblem(new Dictionary<string, string[]> { ["cursor"] = ["The cursor is not one this list gave."] });

            after = decoded;
        }

        var page = await keys.ListAsync(caller.UserId(), limit, after, cancellationToken);
        return TypedResults.Ok(new CursorPage<ApiKeyResponse>(
            [.. page.Items.Select(key => new ApiKeyResponse(key.Id, key.Name, key.Prefix, key.CreatedAt, key.ExpiresAt, key.LastUsedAt))],
            page.NextCursor));
    }

    private static async Task<Results<Created<CreatedApiKeyResponse>, ValidationProblem, ProblemHttpResult>> CreateAsync(
        CreateApiKeyRequest request, ClaimsPrincipal caller, ApiKeyService keys, TimeProvider time, HttpContext context, CancellationToken cancellationToken)
    {
        if (request.ExpiresAt <= time.GetUtcNow())
            return TypedResults.ValidationProblem(new Dictionary<string, string[]> { ["expiresAt"] = ["The key would be over already."] });

        if (await keys.CreateAsync(caller.UserId(), request.Name, request.ExpiresAt, cancellationToken) is not { } created)
            return Problems.Create(
                StatusCodes.Status409Conflict, "too-many-keys", "Too many API keys", "Revoke one that is not used any more, then try again.");

        context.Response.Headers.CacheControl = "no-store";
        var (key, secret) = created;
        return TypedResults.Created(
            $"/api/auth/keys/{key.Id}", new CreatedApiKeyResponse(key.Id, key.Name, key.Prefix, key.CreatedAt, key.ExpiresAt, secret));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RevokeAsync(
        Guid id, ClaimsPrincipal caller, ApiKeyService keys, CancellationToken cancellationToken) =>
        await keys.RevokeAsync(caller.UserId(), id, cancellationToken) ? TypedResults.NoContent() : Problems.NotFound("API key");
}
