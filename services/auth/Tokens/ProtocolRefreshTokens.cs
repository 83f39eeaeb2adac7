using System.Security.Claims;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Services;
using Duende.IdentityServer.Stores;
using Duende.IdentityServer.Validation;
using Fleet.Auth.Data;
using Fleet.Auth.Events;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Security;
using Microsoft.Extensions.Options;

namespace Fleet.Auth.Tokens;

/// <summary>
/// The token and revocation endpoints' view of <see cref="SignInStore"/>, so that a refresh token is one thing, whichever way it is used.
/// </summary>
/// <remarks>One instance per request: the successor made while validating is handed out afterwards.</remarks>
internal sealed class ProtocolRefreshTokens(
    AuthDbContext database, SignInStore signIns, AuthEvents events, IHttpContextAccessor http, TimeProvider time, IOptions<AuthOptions> options)
    : IRefreshTokenService, IRefreshTokenStore
{
    private string? _successor;

    private CancellationToken Aborted => http.HttpContext?.RequestAborted ?? CancellationToken.None;

    // Validation already consumes the token: between a check and a later update two requests could both pass.
    public async Task<TokenValidationResult> ValidateRefreshTokenAsync(string token, Client client)
    {
        await using var transaction = await database.Database.BeginTransactionAsync(Aborted);
        var rotation = await signIns.RotateAsync(token, Aborted);
        if (rotation is { } rotated && rotated.SignIn.ClientId != client.ClientId)
            return Refused();

        if (rotation is not null)
            await events.AddAsync(new UserSignedIn { UserId = rotation.Value.SignIn.UserId, Method = "refresh" }, Aborted);

        await transaction.CommitAsync(Aborted);
        if (rotation is not { } valid)
            return Refused();

        _successor = valid.RefreshToken;
        return new TokenValidationResult { IsError = false, Client = client, RefreshToken = Describe(valid.SignIn) };
    }

    public Task<string> UpdateRefreshTokenAsync(RefreshTokenUpdateRequest request) =>
        Task.FromResult(_successor ?? throw new InvalidOperationException("The refresh token was not validated in this request."));

    public async Task<RefreshToken?> GetRefreshTokenAsync(string refreshTokenHandle) =>
        await signIns.FindAsync(refreshTokenHandle, Aborted) is { } signIn && signIn.IsAlive(time.GetUtcNow()) ? Describe(signIn) : null;

    public Task RemoveRefreshTokenAsync(string refreshTokenHandle) => signIns.EndAsync(refreshTokenHandle, Aborted);

    public Task<string> CreateRefreshTokenAsync(RefreshTokenCreationRequest request) =>
        throw new NotSupportedException("Sign-ins start at POST /api/auth/login only.");

    public Task<string> StoreRefreshTokenAsync(RefreshToken refreshToken) =>
        throw new NotSupportedException("Sign-ins start at POST /api/auth/login only.");

    public Task UpdateRefreshTokenAsync(string handle, RefreshToken refreshToken) =>
        throw new NotSupportedException("Refresh tokens rotate while they are validated.");

    public Task RemoveRefreshTokensAsync(string subjectId, string clientId) =>
        throw new NotSupportedException("Sign-ins end one by one, at DELETE /api/auth/sessions/{id}.");

    private static TokenValidationResult Refused() => new() { IsError = true, Error = "invalid_grant" };

    private RefreshToken Describe(SignIn signIn) => new()
    {
        ClientId = signIn.ClientId,
        SessionId = signIn.Id.ToString(),
        CreationTime = signIn.LastUsedAt.UtcDateTime,
        Lifetime = (int)options.Value.RefreshTokenLifetime.TotalSeconds,
        AuthorizedScopes = FleetClients.ScopesOfPeople,
        Subject = new ClaimsPrincipal(new ClaimsIdentity([new Claim(FleetClaims.Subject, signIn.UserId.ToString())], "refresh_token")),
    };
}
