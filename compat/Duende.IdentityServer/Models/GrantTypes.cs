namespace Duende.IdentityServer.Models;

public static class GrantType
{
    public const string ClientCredentials = "client_credentials";
}

public static class GrantTypes
{
    public static ICollection<string> ClientCredentials => [GrantType.ClientCredentials];
}
