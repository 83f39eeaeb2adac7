using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Auth.Users;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace Fleet.Auth.Tokens;

/// <param name="Username">User name or e-mail address.</param>
public sealed record LoginRequest(
    [property: Required, StringLength(254), SingleLine] string Username,
    [property: Required, StringLength(1024)] string Password);

public sealed record RefreshRequest([property: Required, StringLength(200)] string RefreshToken);

/// <param name="RefreshToken">Whose sign-in ends; without it, the one of the bearer token.</param>
public sealed record LogoutRequest([property: StringLength(200)] string? RefreshToken);

/// <param name="ExpiresIn">Seconds until the access token expires.</param>
public sealed record TokenResponse(string AccessToken, string RefreshToken, string TokenType, int ExpiresIn);

/// <param name="Current">The sign-in this request was made with.</param>
public sealed record SignInResponse(
    Guid Id, string? UserAgent, DateTimeOffset CreatedAt, DateTimeOffset LastUsedAt, DateTimeOffset ExpiresAt, bool Current);

internal static class TokenEndpoints
{
    private const int MaxUserAgentLength = 200;

    public static IEndpointRouteBuilder MapTokens(this IEndpointRouteBuilder endpoints)
    {
        var group = endpoints.MapGroup("/api/auth").WithTags("Sign-in");
        group.MapPost("/login", LoginAsync).AllowAnonymous().WithName("Login").WithSummary("Sign in with user name or e-mail address and password");
        group.MapPost("/refresh", RefreshAsync).AllowAnonymous().WithName("Refresh").WithSummary("Exchange a refresh token for new tokens");
        group.MapPost("/logout", LogoutAsync).AllowAnonymous().WithName("Logout").WithSummary("End a sign-in");

        var sessions = endpoints.MapGroup("/api/auth/sessions").WithTags("Sign-in").RequireAuthorization(UserPolicies.Account);
        sessions.MapGet("", ListAsync).WithName("ListSignIns").WithSummary("Where this account is signed in");
        sessions.MapDelete("/{id:guid}", EndAsync).WithName("EndSignIn").WithSummary("Sign another device out");
        return endpoints;
    }

    private static async Task<Results<Ok<TokenResponse>, ProblemHttpResult>> LoginAsync(
        LoginRequest request, SignInService signIns, HttpContext context, CancellationToken cancellationToken)
    {
        var userAgent = context.Request.Headers.UserAgent.ToString();
        var tokens = await signIns.SignInAsync(
            request.Username, request.Password, userAgent.Length == 0 ? null : userAgent[..Math.Min(userAgent.Length, MaxUserAgentLength)], cancellationToken);
        return tokens is null
            ? Problems.Create(
                StatusCodes.Status401Unauthorized, "invalid-credentials", "Sign-in failed",
                "The credentials are wrong, or too many attempts failed and the account is locked for a few minutes.")
            : Ok(context, tokens);
    }

    private static async Task<Results<Ok<TokenResponse>, ProblemHttpResult>> RefreshAsync(
        RefreshRequest request, SignInService signIns, HttpContext context, CancellationToken cancellationToken) =>
        await signIns.RefreshAsync(request.RefreshToken, cancellationToken) is { } tokens
            ? Ok(context, tokens)
            : Problems.Create(
                StatusCodes.Status401Unauthorized, "invalid-refresh-token", "The sign-in is over", "The refresh token is not valid. Sign in again.");

    // Signing out is a wish that always comes true: an unknown or spent token is signed out already.
    private static async Task<Results<NoContent, ProblemHttpResult>> LogoutAsync(
        [FromBody(EmptyBodyBehavior = Microsoft.AspNetCore.Mvc.ModelBinding.EmptyBodyBehavior.Allow)] LogoutRequest? request,
        ClaimsPrincipal user, SignInStore signIns, CancellationToken cancellationToken)
    {
        if (request?.RefreshToken is { } refreshToken)
            await signIns.EndAsync(refreshToken, cancellationToken);
        else if (user.TryGetUserId(out var userId) && TryGetSignIn(user, out var signInId))
            await signIns.EndAsync(userId, signInId, cancellationToken);
        else
            return Problems.Create(
                StatusCodes.Status401Unauthorized, "not-signed-in", "Nobody to sign out", "Send the refresh token or a valid access token.");

        return TypedResults.NoContent();
    }

    private static async Task<Ok<CursorPage<SignInResponse>>> ListAsync(ClaimsPrincipal user, SignInStore signIns, CancellationToken cancellationToken)
    {
        _ = TryGetSignIn(user, out var current);
        var alive = await signIns.ListAsync(user.UserId(), cancellationToken);
        return TypedResults.Ok(new CursorPage<SignInResponse>(
            [.. alive.Select(row => new SignInResponse(row.Id, row.UserAgent, row.CreatedAt, row.LastUsedAt, row.ExpiresAt, row.Id == current))],
            NextCursor: null));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> EndAsync(
        Guid id, ClaimsPrincipal user, SignInStore signIns, CancellationToken cancellationToken) =>
        await signIns.EndAsync(user.UserId(), id, cancellationToken) ? TypedResults.NoContent() : Problems.NotFound("sign-in");

    private static Ok<TokenResponse> Ok(HttpContext context, TokenPair tokens)
    {
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(new TokenResponse(tokens.AccessToken.Value, tokens.RefreshToken, "Bearer", tokens.AccessToken.ExpiresIn));
    }

    private static bool TryGetSignIn(ClaimsPrincipal user, out Guid id) => Guid.TryParse(user.FindFirstValue("sid"), out id);
}
