using Aspire.Hosting.ApplicationModel;
using Fleet.Provisioning;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Orchestration;

internal static class OrchestrationHosting
{
    // Longer than any chain of the processes' own stop limits; the host must not walk away from running servers.
    private static readonly TimeSpan ShutdownLimit = TimeSpan.FromMinutes(5);

    public static void AddOrchestration(this HostApplicationBuilder host, DistributedApplicationBuilder application)
    {
        var services = host.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => OrchestrationOptions.From(provider.GetRequiredService<IConfiguration>(), application.AppHostAssembly));
        services.AddSingleton(provider => Paths(application, provider.GetRequiredService<OrchestrationOptions>()));
        services.AddSingleton(new DistributedApplicationModel(application.Resources));
        services.AddSingleton(application.ExecutionContext);
        services.AddSingleton<ResourceNotificationService>();
        services.AddSingleton(provider => new ResourceCommandService(provider.GetRequiredService<FleetOrchestrator>()));
        services.AddSingleton<ProcessEnvironment>();
        services.AddSingleton<StateFile>();
        services.AddSingleton<FleetOrchestrator>();
        // First in, last out: the screen shows the stopping too.
        services.AddHostedService<StatusScreen>();
        services.AddHostedService(provider => provider.GetRequiredService<FleetOrchestrator>());
        services.Configure<HostOptions>(options => options.ShutdownTimeout = ShutdownLimit);
        services.Configure<ConsoleLifetimeOptions>(options => options.SuppressStatusMessages = true);

        host.Logging.ClearProviders();
        services.AddSingleton<ILoggerProvider>(HostLog);
    }

    private static FleetPaths Paths(DistributedApplicationBuilder application, OrchestrationOptions options)
    {
        var root = Path.GetFullPath("..", application.AppHostDirectory);
        return new FleetPaths(root, options.StateDirectory ?? Environment.GetEnvironmentVariable(FleetPaths.StateVariable) switch
        {
            { Length: > 0 } state => state,
            _ => null,
        });
    }

    private static HostLoggerProvider HostLog(IServiceProvider provider)
    {
        var time = provider.GetRequiredService<TimeProvider>();
        // Without a terminal the log goes where the status lines go: whoever redirected the output keeps both.
        if (provider.GetRequiredService<OrchestrationOptions>().ShowStatus && Console.IsOutputRedirected)
            return new HostLoggerProvider(Console.WriteLine, null, time);
        var paths = provider.GetRequiredService<FleetPaths>();
        paths.CreateDirectories();
        var log = new RollingLog(paths.LogFile("apphost"));
        return new HostLoggerProvider(log.WriteLine, log, time);
    }
}
