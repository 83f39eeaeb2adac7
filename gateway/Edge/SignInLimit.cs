using System.Net;
using System.Net.Sockets;
using System.Threading.RateLimiting;
using Microsoft.Extensions.Options;

namespace Fleet.Gateway.Edge;

/// <summary>
/// Slows down guessing of passwords: a sliding minute per client address, in this process. Limits that many gateways share come
/// with Redis (README, decisions).
/// </summary>
internal static class SignInLimit
{
    /// <summary>Named by the routes in appsettings.json.</summary>
    public const string Policy = "sign-in";

    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    public static void AddSignInLimit(this IServiceCollection services) => services.AddRateLimiter(options =>
    {
        options.AddPolicy(Policy, context =>
        {
            var permits = context.RequestServices.GetRequiredService<IOptions<GatewayOptions>>().Value.SignInsPerMinute;
            return RateLimitPartition.GetSlidingWindowLimiter(ClientOf(context), _ => new SlidingWindowRateLimiterOptions
            {
                PermitLimit = permits,
                Window = Window,
                SegmentsPerWindow = 6,
            });
        });
        options.OnRejected = async (rejected, _) =>
        {
            var wait = rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var retryAfter) ? retryAfter : Window / 6;
            await new EdgeProblem(StatusCodes.Status429TooManyRequests, "too-many-requests", "Too many sign-in attempts",
                "Wait a little before the next one.", wait).WriteAsync(rejected.HttpContext);
        };
    });

    // One household or server gets a /64 of IPv6, so single addresses of it cost an attacker nothing.
    private static string ClientOf(HttpContext context)
    {
        var address = context.Connection.RemoteIpAddress ?? IPAddress.None;
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        return address.AddressFamily == AddressFamily.InterNetworkV6
            ? Convert.ToHexString(address.GetAddressBytes().AsSpan(0, 8))
            : address.ToString();
    }
}
