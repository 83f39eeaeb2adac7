using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Stores;
using Microsoft.AspNetCore.Http;

namespace Duende.IdentityServer.Endpoints;

/// <summary>Finds out which client is asking: HTTP Basic or parameters of the form (RFC 6749, section 2.3.1).</summary>
internal sealed class ClientAuthentication(IClientStore clients, TimeProvider time)
{
    public async Task<(Client? Client, OAuthError? Error)> AuthenticateAsync(HttpContext context, ProtocolForm form)
    {
        var usesHeader = AuthenticationHeaderValue.TryParse(context.Request.Headers.Authorization, out var header)
            && "Basic".Equals(header.Scheme, StringComparison.OrdinalIgnoreCase);
        if (usesHeader && form["client_secret"] is not null)
            return (null, new OAuthError("invalid_request", "Only one way of client authentication may be used."));

        // A client that tried the header is told by status 401 (section 5.2).
        var refusal = usesHeader ? OAuthError.InvalidClient with { Status = StatusCodes.Status401Unauthorized } : OAuthError.InvalidClient;
        var (id, secret) = usesHeader ? FromHeader(header!.Parameter) : (form["client_id"], form["client_secret"]);
        if (id is null)
            return (null, refusal);

        if (await clients.FindClientByIdAsync(id).ConfigureAwait(false) is not { Enabled: true } client)
            return (null, refusal);

        Unsupported.Check(client);
        return client.RequireClientSecret && !Matches(client, secret) ? (null, refusal) : (client, null);
    }

    private bool Matches(Client client, string? secret)
    {
        if (secret is null)
            return false;

        var presented = Encoding.ASCII.GetBytes(secret.Sha256());
        var now = time.GetUtcNow().UtcDateTime;
        return client.ClientSecrets
            .Where(known => known.Expiration is not { } expiration || expiration > now)
            .Any(known => CryptographicOperations.FixedTimeEquals(presented, Encoding.ASCII.GetBytes(known.Value)));
    }

    private static (string? Id, string? Secret) FromHeader(string? parameter)
    {
        try
        {
            var pair = Encoding.UTF8.GetString(Convert.FromBase64String(parameter ?? string.Empty));
            var colon = pair.IndexOf(':', StringComparison.Ordinal);
            return colon < 1 ? (null, null) : (Decode(pair[..colon]), Decode(pair[(colon + 1)..]));
        }
        catch (FormatException)
        {
            return (null, null);
        }
    }

    private static string Decode(string value) => Uri.UnescapeDataString(value.Replace('+', ' '));
}
