namespace Duende.IdentityServer;

public static class IdentityServerConstants
{
    public static class StandardScopes
    {
        public const string OpenId = "openid";
        public const string Profile = "profile";
        public const string Email = "email";
        public const string OfflineAccess = "offline_access";
    }

    public static class SecretTypes
    {
        public const string SharedSecret = "SharedSecret";
    }

    /// <summary>Who asks the profile service.</summary>
    public static class ProfileDataCallers
    {
        public const string UserInfoEndpoint = "UserInfoEndpoint";
        public const string ClaimsProviderAccessToken = "ClaimsProviderAccessToken";
    }

    public static class ProfileIsActiveCallers
    {
        public const string RefreshTokenValidation = "RefreshTokenValidation";
        public const string UserInfoRequestValidation = "UserInfoRequestValidation";
    }
}
