using System.Reflection;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.Orchestration;

/// <summary>The <c>Fleet</c> section as far as this orchestrator reads it.</summary>
internal sealed record OrchestrationOptions(Assembly? AppHostAssembly)
{
    /// <summary>Where state is kept; <c>.fleet</c> beside the application host's folder unless set.</summary>
    public string? StateDirectory { get; init; }

    /// <summary>Every endpoint gets a free port, also those that ask for one.</summary>
    public bool AnyPort { get; init; }

    /// <summary>Whether servers survive a crash of the machine. Tests do without.</summary>
    public bool DurableServers { get; init; } = true;

    /// <summary>False keeps the screen to others: no table and no lines.</summary>
    public bool ShowStatus { get; init; } = true;

    public static OrchestrationOptions From(IConfiguration configuration, Assembly? appHost) => new(appHost)
    {
        StateDirectory = configuration["Fleet:StateDirectory"] is { Length: > 0 } directory ? directory : null,
        AnyPort = configuration.GetValue("Fleet:AnyPort", false),
        DurableServers = configuration.GetValue("Fleet:DurableServers", true),
        ShowStatus = configuration.GetValue("Fleet:ShowStatus", true),
    };
}
