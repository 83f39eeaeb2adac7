using System.Net.Http.Json;
using System.Text.Json.Serialization;
using Fleet.ServiceDefaults.Http;
using Microsoft.Extensions.Options;

namespace Fleet.ServiceDefaults.Security;

/// <summary>This service's own access token (client credentials, RFC 6749 §4.4), for work that no user asked for directly.</summary>
public sealed class ServiceTokenSource(
    HttpClient http, ServiceTokenCache cache, ServiceAddresses addresses, IOptions<FleetAuthenticationOptions> options, TimeProvider time)
{
    /// <summary>A token with at least a minute left.</summary>
    /// <exception cref="InvalidOperationException">No client is configured.</exception>
    /// <exception cref="HttpRequestException">Auth is unreachable or refuses.</exception>
    public async Task<string> GetTokenAsync(CancellationToken cancellationToken)
    {
        if (cache.TryGet(time.GetUtcNow(), out var cached)) return cached;

        await cache.Refresh.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (cache.TryGet(time.GetUtcNow(), out cached)) return cached;
            var response = await RequestAsync(cancellationToken).ConfigureAwait(false);
            cache.Set(response.AccessToken, time.GetUtcNow().AddSeconds(response.ExpiresIn - 60));
            return response.AccessToken;
        }
        finally
        {
            cache.Refresh.Release();
        }
    }

    private async Task<TokenResponse> RequestAsync(CancellationToken cancellationToken)
    {
        var settings = options.Value;
        if (settings.ClientId is null || settings.ClientSecret is null)
            throw new InvalidOperationException("Auth:ClientId and Auth:ClientSecret are not configured; the AppHost sets them for every service.");

        using var form = new FormUrlEncodedContent(new Dictionary<string, string>
        {
            ["grant_type"] = "client_credentials",
            ["client_id"] = settings.ClientId,
            ["client_secret"] = settings.ClientSecret,
            ["scope"] = FleetClaims.InternalScope,
        });
        using var response = await http.PostAsync(new Uri(addresses.Resolve("auth", "http")[0], "/connect/token"), form, cancellationToken).ConfigureAwait(false);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<TokenResponse>(cancellationToken).ConfigureAwait(false)
            ?? throw new HttpRequestException("The token endpoint answered with an empty body.");
    }

    private sealed record TokenResponse(
        [property: JsonPropertyName("access_token")] string AccessToken,
        [property: JsonPropertyName("expires_in")] int ExpiresIn);
}

/// <summary>Holds the token across the short lives of typed HTTP clients. Thread-safe.</summary>
public sealed class ServiceTokenCache : IDisposable
{
    private volatile Entry? _entry;

    internal SemaphoreSlim Refresh { get; } = new(1, 1);

    internal bool TryGet(DateTimeOffset now, out string token)
    {
        var entry = _entry;
        token = entry?.Token ?? "";
        return entry is not null && now < entry.UsableUntil;
    }

    internal void Set(string token, DateTimeOffset usableUntil) => _entry = new Entry(token, usableUntil);

    public void Dispose() => Refresh.Dispose();

    private sealed record Entry(string Token, DateTimeOffset UsableUntil);
}
