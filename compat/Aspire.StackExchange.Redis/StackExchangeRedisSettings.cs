namespace Aspire.StackExchange.Redis;

/// <summary>What a Redis client registration can be told, bound from <c>Aspire:StackExchange:Redis</c> and then from code.</summary>
public sealed class StackExchangeRedisSettings
{
    /// <summary>The connection string; <c>ConnectionStrings:&lt;name&gt;</c> unless set here.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>Leaves the connection to be made by the first user instead of at start-up. Always so in this version.</summary>
    public bool DisableAutoActivation { get; set; } = true;

    /// <summary>Registers no health check.</summary>
    public bool DisableHealthChecks { get; set; }

    /// <summary>Kept for the shape of the real package; this version's client has no tracing to disable.</summary>
    public bool DisableTracing { get; set; }
}
