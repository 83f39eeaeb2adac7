using Duende.IdentityServer.Models;

namespace Duende.IdentityServer.Validation;

public class ValidationResult
{
    public bool IsError { get; set; } = true;

    public string? Error { get; set; }

    public string? ErrorDescription { get; set; }
}

public class TokenValidationResult : ValidationResult
{
    public RefreshToken? RefreshToken { get; set; }

    public Client? Client { get; set; }
}
