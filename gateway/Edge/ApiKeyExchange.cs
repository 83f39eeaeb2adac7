using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Fleet.Contracts.Auth.V1;
using Fleet.ServiceDefaults.Http;
using Grpc.Core;

namespace Fleet.Gateway.Edge;

/// <summary>
/// Turns an API key (<c>Authorization: Bearer fk_…</c>) into its owner's short-lived access token, so that no service behind
/// the gateway ever sees a key. An exchange is remembered for a second: many requests of one client cost auth one call, and a
/// revoked key is dead a second later on every gateway.
/// </summary>
internal sealed class ApiKeyExchange(RequestDelegate next, Auth.AuthClient auth, TimeProvider time)
{
    private const string Scheme = "Bearer ";
    private const string KeyPrefix = Scheme + "fk_";
    private const int MaxRemembered = 10_000;
    private static readonly TimeSpan Remembered = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    // By hash: a memory dump of the gateway holds no keys.
    private readonly ConcurrentDictionary<string, Entry> _exchanges = new(StringComparer.Ordinal);

    public async Task InvokeAsync(HttpContext context)
    {
        var header = context.Request.Headers.Authorization.ToString();
        if (header.StartsWith(KeyPrefix, StringComparison.OrdinalIgnoreCase))
        {
            try
            {
                context.Request.Headers.Authorization = Scheme + await ExchangeAsync(header[Scheme.Length..].Trim(), context.RequestAborted);
            }
            catch (RpcException exception) when (exception.StatusCode is StatusCode.Unauthenticated or StatusCode.InvalidArgument)
            {
                context.Response.Headers.WWWAuthenticate = "Bearer error=\"invalid_token\"";
                await EdgeProblem.InvalidToken.WriteAsync(context);
                return;
            }
            catch (RpcException exception) when (exception.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded)
            {
                await EdgeProblem.Unavailable.WriteAsync(context);
                return;
            }
        }

        await next(context);
    }

    private async Task<string> ExchangeAsync(string key, CancellationToken cancellationToken)
    {
        var id = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
        var now = time.GetUtcNow();
        if (_exchanges.TryGetValue(id, out var entry) && now < entry.Until) return await entry.Token.WaitAsync(cancellationToken);

        Forget(now);
        // Not tied to this request: others may be waiting for the same exchange.
        entry = new Entry(CallAsync(key), now + Remembered);
        _exchanges[id] = entry;
        return await entry.Token.WaitAsync(cancellationToken);
    }

    private async Task<string> CallAsync(string key)
    {
        var response = await auth.ExchangeApiKeyAsync(new ExchangeApiKeyRequest { ApiKey = key }, deadline: time.GetUtcNow().Add(Deadline).UtcDateTime);
        return response.AccessToken;
    }

    private void Forget(DateTimeOffset now)
    {
        if (_exchanges.Count < MaxRemembered) return;
        foreach (var (id, entry) in _exchanges)
        {
            if (entry.Until <= now) _exchanges.TryRemove(id, out _);
        }
    }

    private sealed record Entry(Task<string> Token, DateTimeOffset Until);
}

internal static class ApiKeyExchangeExtensions
{
    public static void AddApiKeyExchange(this IServiceCollection services) => services.AddGrpcClient<Auth.AuthClient>((provider, options) =>
        options.Address = provider.GetRequiredService<ServiceAddresses>().Resolve("auth", "grpc")[0]);
}
