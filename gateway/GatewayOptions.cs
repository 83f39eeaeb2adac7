using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Gateway;

/// <summary>What an operator may set at the edge; routes and clusters are the <c>ReverseProxy</c> section.</summary>
public sealed class GatewayOptions
{
    public const string SectionName = "Gateway";

    /// <summary>
    /// Networks (CIDR) of the ingress in front, whose X-Forwarded-* headers are believed. Default none: the connection's own
    /// address is the client, and whatever such headers say is dropped.
    /// </summary>
    public IList<string> TrustedProxies { get; } = [];

    /// <summary>Origins of foreign web pages that may call the API. Default none: no CORS header is ever sent.</summary>
    public IList<string> AllowedOrigins { get; } = [];

    /// <summary>Sign-ins and registrations one client address may try in a minute; more get 429. Default 60.</summary>
    [Range(1, 100_000)]
    public int SignInsPerMinute { get; set; } = 60;

    /// <summary>
    /// How long the gateway still accepts requests, already reporting not ready, after it was told to stop: the time a load
    /// balancer needs to notice. Default none; a few seconds on Kubernetes.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan DrainDelay { get; set; } = TimeSpan.Zero;

    /// <summary>How long requests in flight, streams included, may take after that before they are cut. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);
}

[OptionsValidator]
internal sealed partial class GatewayOptionsValidator : IValidateOptions<GatewayOptions>;

internal static class GatewayOptionsExtensions
{
    public static void AddGatewayOptions(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<GatewayOptions>().BindConfiguration(GatewayOptions.SectionName).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<GatewayOptions>, GatewayOptionsValidator>();
    }
}
