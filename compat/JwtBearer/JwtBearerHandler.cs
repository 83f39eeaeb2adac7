using System.Security.Claims;
using System.Text;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;
using Microsoft.Net.Http.Headers;

namespace Microsoft.AspNetCore.Authentication.JwtBearer;

/// <summary>
/// Authenticates a request by the bearer token of its Authorization header. The checks themselves are IdentityModel's:
/// (1) find the token, (2) validate it by the first handler that can read it, (3) hand the principal to the events.
/// </summary>
public partial class JwtBearerHandler(IOptionsMonitor<JwtBearerOptions> options, ILoggerFactory logger, UrlEncoder encoder)
    : AuthenticationHandler<JwtBearerOptions>(options, logger, encoder)
{
    private const string Prefix = "Bearer ";

    protected new JwtBearerEvents Events
    {
        get => (JwtBearerEvents)base.Events!;
        set => base.Events = value;
    }

    protected override Task<object> CreateEventsAsync() => Task.FromResult<object>(new JwtBearerEvents());

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        try
        {
            // 1. An event may answer for the handler, or bring the token itself.
            var received = new MessageReceivedContext(Context, Scheme, Options);
            await Events.MessageReceived(received);
            if (received.Result is not null)
                return received.Result;

            var token = received.Token ?? TokenOf(Request.Headers.Authorization.ToString());
            if (string.IsNullOrEmpty(token))
                return AuthenticateResult.NoResult();

            // 2. Every failure is kept: the challenge names them all.
            var parameters = await ValidationParametersAsync();
            List<Exception>? failures = null;
            foreach (var handler in Options.TokenHandlers)
            {
                var validation = await handler.ValidateTokenAsync(token, parameters);
                if (validation.IsValid)
                    return await AcceptAsync(token, new ClaimsPrincipal(validation.ClaimsIdentity), validation.SecurityToken);

                (failures ??= []).Add(validation.Exception ?? new SecurityTokenValidationException("The token was refused."));
            }

            return await RefuseAsync(failures switch
            {
                null => new SecurityTokenException("No token handler is configured."),
                [var only] => only,
                _ => new AggregateException(failures),
            });
        }
        catch (Exception exception)
        {
            Log.ProcessingFailed(Logger, exception);
            var failed = new AuthenticationFailedContext(Context, Scheme, Options) { Exception = exception };
            await Events.AuthenticationFailed(failed);
            if (failed.Result is not null)
                return failed.Result;

            throw;
        }
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var authentication = await HandleAuthenticateOnceSafeAsync();
        var challenge = new JwtBearerChallengeContext(Context, Scheme, Options, properties)
        {
            AuthenticateFailure = authentication.Failure,
        };
        if (Options.IncludeErrorDetails && authentication.Failure is not null)
        {
            challenge.Error = "invalid_token";
            challenge.ErrorDescription = TokenErrors.Describe(authentication.Failure);
        }

        await Events.Challenge(challenge);
        if (challenge.Handled)
            return;

        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.Append(HeaderNames.WWWAuthenticate, HeaderOf(challenge));
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        var forbidden = new ForbiddenContext(Context, Scheme, Options);
        if (!Response.HasStarted)
            Response.StatusCode = StatusCodes.Status403Forbidden;

        return Events.Forbidden(forbidden);
    }

    private static string? TokenOf(string authorization) =>
        authorization.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) ? authorization[Prefix.Length..].Trim() : null;

    private async Task<TokenValidationParameters> ValidationParametersAsync()
    {
        var parameters = Options.TokenValidationParameters.Clone();
        if (Options.ConfigurationManager is BaseConfigurationManager manager)
        {
            // IdentityModel asks the manager itself, requests a refresh for an unknown key and then tries once more.
            parameters.ConfigurationManager = Options.RefreshOnIssuerKeyNotFound ? manager : new WithoutRefresh(manager);
        }
        else if (Options.ConfigurationManager is not null)
        {
            var configuration = await Options.ConfigurationManager.GetConfigurationAsync(Context.RequestAborted);
            parameters.ValidIssuers = [.. parameters.ValidIssuers ?? [], configuration.Issuer];
            parameters.IssuerSigningKeys = [.. parameters.IssuerSigningKeys ?? [], .. configuration.SigningKeys];
        }

        return parameters;
    }

    private async Task<AuthenticateResult> AcceptAsync(string token, ClaimsPrincipal principal, SecurityToken securityToken)
    {
        var validated = new TokenValidatedContext(Context, Scheme, Options) { Principal = principal, SecurityToken = securityToken };
        validated.Properties.IssuedUtc = UtcOrNull(securityToken.ValidFrom);
        validated.Properties.ExpiresUtc = UtcOrNull(securityToken.ValidTo);
        await Events.TokenValidated(validated);
        if (validated.Result is not null)
            return validated.Result;

        if (Options.SaveToken)
            validated.Properties.StoreTokens([new AuthenticationToken { Name = "access_token", Value = token }]);

        validated.Success();
        return validated.Result!;
    }

    private async Task<AuthenticateResult> RefuseAsync(Exception failure)
    {
        Log.TokenRefused(Logger, failure.GetType().Name);
        var failed = new AuthenticationFailedContext(Context, Scheme, Options) { Exception = failure };
        await Events.AuthenticationFailed(failed);
        return failed.Result ?? AuthenticateResult.Fail(failed.Exception);
    }

    private static DateTimeOffset? UtcOrNull(DateTime value) =>
        value == DateTime.MinValue ? null : new DateTimeOffset(DateTime.SpecifyKind(value, DateTimeKind.Utc));

    private static string HeaderOf(JwtBearerChallengeContext challenge)
    {
        var header = new StringBuilder(challenge.Options.Challenge);

        // A configured challenge may already carry parameters such as a realm.
        var separator = challenge.Options.Challenge.Contains(' ', StringComparison.Ordinal) ? ", " : " ";
        foreach (var (name, value) in (ReadOnlySpan<(string, string?)>)
                 [("error", challenge.Error), ("error_description", challenge.ErrorDescription), ("error_uri", challenge.ErrorUri)])
        {
            if (string.IsNullOrEmpty(value))
                continue;

            header.Append(separator).Append(name).Append("=\"").Append(Quotable(value)).Append('"');
            separator = ", ";
        }

        return header.ToString();
    }

    // RFC 6750, section 3: no quotes, no backslashes, printable ASCII only; audiences and issuers come from the token.
    private static string Quotable(string value) =>
        string.Create(value.Length, value, (span, text) =>
        {
            for (var i = 0; i < text.Length; i++)
                span[i] = text[i] is >= ' ' and <= '~' and not '"' and not '\\' ? text[i] : '?';
        });

    /// <summary>Keeps a token with an unknown key from making the keys be fetched anew.</summary>
    private sealed class WithoutRefresh(BaseConfigurationManager inner) : BaseConfigurationManager
    {
        public override Task<BaseConfiguration> GetBaseConfigurationAsync(CancellationToken cancel) => inner.GetBaseConfigurationAsync(cancel);

        public override void RequestRefresh()
        {
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Bearer token refused: {Reason}")]
        public static partial void TokenRefused(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Error, "Exception while processing a bearer token")]
        public static partial void ProcessingFailed(ILogger logger, Exception exception);
    }
}
