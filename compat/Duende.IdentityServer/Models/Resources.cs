namespace Duende.IdentityServer.Models;

/// <summary>Something a token can be asked for.</summary>
public abstract class Resource
{
    public bool Enabled { get; set; } = true;

    public string Name { get; set; } = default!;

    public string? DisplayName { get; set; }

    public bool ShowInDiscoveryDocument { get; set; } = true;

    /// <summary>Claims of the user that this resource needs.</summary>
    public ICollection<string> UserClaims { get; set; } = [];

    private protected void Fill(string name, string? displayName, IEnumerable<string>? userClaims)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        Name = name;
        DisplayName = displayName;
        UserClaims = [.. userClaims ?? []];
    }
}

public class ApiScope : Resource
{
    public ApiScope()
    {
    }

    public ApiScope(string name)
        : this(name, name, null)
    {
    }

    public ApiScope(string name, string displayName)
        : this(name, displayName, null)
    {
    }

    public ApiScope(string name, IEnumerable<string> userClaims)
        : this(name, name, userClaims)
    {
    }

    public ApiScope(string name, string displayName, IEnumerable<string>? userClaims) => Fill(name, displayName, userClaims);
}

/// <summary>An audience: tokens with one of its scopes carry its name as <c>aud</c>.</summary>
public class ApiResource : Resource
{
    public ApiResource()
    {
    }

    public ApiResource(string name)
        : this(name, name, null)
    {
    }

    public ApiResource(string name, string displayName)
        : this(name, displayName, null)
    {
    }

    public ApiResource(string name, string? displayName, IEnumerable<string>? userClaims) => Fill(name, displayName, userClaims);

    public ICollection<string> Scopes { get; set; } = [];
}

public class IdentityResource : Resource
{
    public IdentityResource()
    {
    }

    public IdentityResource(string name, IEnumerable<string> userClaims)
        : this(name, name, userClaims)
    {
    }

    public IdentityResource(string name, string displayName, IEnumerable<string> userClaims) => Fill(name, displayName, userClaims);
}

public static class IdentityResources
{
    public class OpenId : IdentityResource
    {
        public OpenId()
            : base(IdentityServerConstants.StandardScopes.OpenId, "Your user identifier", ["sub"])
        {
        }
    }

    public class Profile : IdentityResource
    {
        public Profile()
            : base(
                IdentityServerConstants.StandardScopes.Profile,
                "User profile",
                ["name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
                    "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"])
        {
        }
    }

    public class Email : IdentityResource
    {
        public Email()
            : base(IdentityServerConstants.StandardScopes.Email, "Your email address", ["email", "email_verified"])
        {
        }
    }
}
