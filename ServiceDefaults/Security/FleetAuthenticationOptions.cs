using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.ServiceDefaults.Security;

/// <summary>How a service knows whom to trust and, for work without a user, who it is itself.</summary>
public sealed class FleetAuthenticationOptions
{
    public const string SectionName = "Auth";

    /// <summary>The <c>iss</c> of valid tokens: the fleet's public address. Default http://localhost:8080.</summary>
    [Required, Url]
    public string Issuer { get; set; } = "http://localhost:8080";

    /// <summary>This service's client id for client credentials. Default: none, and <see cref="ServiceTokenSource"/> refuses.</summary>
    public string? ClientId { get; set; }

    /// <summary>Its secret; from the environment only.</summary>
    public string? ClientSecret { get; set; }
}

[OptionsValidator]
internal sealed partial class FleetAuthenticationOptionsValidator : IValidateOptions<FleetAuthenticationOptions>;
