using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.IdentityModel.Tokens;

namespace Microsoft.IdentityModel.Protocols.OpenIdConnect;

/// <summary>The parts of an OpenID provider's metadata that a resource server or a client library reads.</summary>
public class OpenIdConnectConfiguration : BaseConfiguration
{
    [JsonPropertyName("issuer")]
    public override string Issuer { get; set; } = string.Empty;

    [JsonPropertyName("jwks_uri")]
    public string JwksUri { get; set; } = string.Empty;

    [JsonPropertyName("token_endpoint")]
    public override string TokenEndpoint { get; set; } = string.Empty;

    [JsonPropertyName("authorization_endpoint")]
    public string AuthorizationEndpoint { get; set; } = string.Empty;

    [JsonPropertyName("userinfo_endpoint")]
    public string UserInfoEndpoint { get; set; } = string.Empty;

    [JsonPropertyName("end_session_endpoint")]
    public string EndSessionEndpoint { get; set; } = string.Empty;

    [JsonIgnore]
    public JsonWebKeySet? JsonWebKeySet { get; set; }

    [JsonIgnore]
    public override ICollection<SecurityKey> SigningKeys { get; } = [];

    public static OpenIdConnectConfiguration Create(string json) =>
        JsonSerializer.Deserialize<OpenIdConnectConfiguration>(json)
        ?? throw new JsonException("The metadata document is null.");
}
