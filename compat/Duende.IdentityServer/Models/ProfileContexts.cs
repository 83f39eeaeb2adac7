using System.Security.Claims;

namespace Duende.IdentityServer.Models;

/// <summary>Asks for claims about a user; the answer goes into <see cref="IssuedClaims"/>.</summary>
public class ProfileDataRequestContext
{
    public ProfileDataRequestContext()
    {
    }

    public ProfileDataRequestContext(ClaimsPrincipal subject, Client client, string caller, IEnumerable<string> requestedClaimTypes)
    {
        Subject = subject;
        Client = client;
        Caller = caller;
        RequestedClaimTypes = requestedClaimTypes;
    }

    public ClaimsPrincipal Subject { get; set; } = default!;

    public IEnumerable<string> RequestedClaimTypes { get; set; } = [];

    public Client Client { get; set; } = default!;

    public string Caller { get; set; } = default!;

    public List<Claim> IssuedClaims { get; set; } = [];
}

/// <summary>Asks whether the user may still have tokens.</summary>
public class IsActiveContext(ClaimsPrincipal subject, Client client, string caller)
{
    public ClaimsPrincipal Subject { get; set; } = subject;

    public Client Client { get; set; } = client;

    public string Caller { get; set; } = caller;

    public bool IsActive { get; set; } = true;
}
