using Duende.IdentityServer.Models;
using Duende.IdentityServer.Validation;

namespace Duende.IdentityServer.Services;

/// <summary>Knows the users: which claims they have and whether they are still welcome.</summary>
public interface IProfileService
{
    Task GetProfileDataAsync(ProfileDataRequestContext context);

    Task IsActiveAsync(IsActiveContext context);
}

/// <summary>Rules of refresh tokens. Nothing is built in here: the application registers its own.</summary>
public interface IRefreshTokenService
{
    Task<TokenValidationResult> ValidateRefreshTokenAsync(string token, Client client);

    Task<string> CreateRefreshTokenAsync(RefreshTokenCreationRequest request);

    /// <summary>Called once the refresh is certain; returns the handle for the client, a new one where tokens rotate.</summary>
    Task<string> UpdateRefreshTokenAsync(RefreshTokenUpdateRequest request);
}

/// <summary>Turns a token into its signed form.</summary>
public interface ITokenCreationService
{
    Task<string> CreateTokenAsync(Token token);
}
