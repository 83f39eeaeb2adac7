using Duende.IdentityServer.Stores;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Duende.IdentityServer.Endpoints;

/// <summary>RFC 7009. JWT access tokens end by themselves; a refresh token is removed. An unknown token is no error.</summary>
internal sealed class RevocationEndpoint(ClientAuthentication authentication)
{
    public const string Path = "/connect/revocation";

    public async Task HandleAsync(HttpContext context)
    {
        var (form, formError) = await ProtocolForm.ReadAsync(context).ConfigureAwait(false);
        if (form is null)
        {
            await formError!.WriteAsync(context).ConfigureAwait(false);
            return;
        }

        var (client, clientError) = await authentication.AuthenticateAsync(context, form).ConfigureAwait(false);
        if (client is null)
        {
            await clientError!.WriteAsync(context).ConfigureAwait(false);
            return;
        }

        if (form["token"] is not { } token)
        {
            await new OAuthError("invalid_request", "token is missing.").WriteAsync(context).ConfigureAwait(false);
            return;
        }

        if (form["token_type_hint"] is not (null or "access_token" or "refresh_token"))
        {
            await new OAuthError("unsupported_token_type").WriteAsync(context).ConfigureAwait(false);
            return;
        }

        var store = context.RequestServices.GetService<IRefreshTokenStore>()
            ?? throw new NotSupportedException("No refresh token store is built into this subset of IdentityServer: register an IRefreshTokenStore.");
        var known = await store.GetRefreshTokenAsync(token).ConfigureAwait(false);
        if (known is not null && known.ClientId == client.ClientId)
            await store.RemoveRefreshTokenAsync(token).ConfigureAwait(false);

        context.Response.StatusCode = StatusCodes.Status200OK;
    }
}
