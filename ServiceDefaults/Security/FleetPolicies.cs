namespace Fleet.ServiceDefaults.Security;

/// <summary>Names of the authorisation policies that every service knows.</summary>
public static class FleetPolicies
{
    /// <summary>A person (or an API key of one): the token has a subject.</summary>
    public const string User = "fleet-user";

    /// <summary>A person with the role administrator.</summary>
    public const string Administrator = "fleet-administrator";

    /// <summary>Another service of the fleet, by client credentials.</summary>
    public const string Internal = "fleet-internal";
}

/// <summary>Claim and scope names in Fleet's access tokens (RFC 9068).</summary>
public static class FleetClaims
{
    public const string Subject = "sub";
    public const string Name = "name";
    public const string Role = "role";
    public const string Tenant = "tenant";
    public const string Scope = "scope";
    public const string AdministratorRole = "administrator";
    public const string InternalScope = "fleet.internal";
    public const string Audience = "fleet";
}
