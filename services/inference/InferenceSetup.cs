using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Persistence;
using Fleet.Inference.Engine.Providers;
using Fleet.Inference.Engine.Resilience;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Native.Shim;
using Fleet.Inference.Telemetry;
using Fleet.ServiceDefaults.Health;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference;

internal static class InferenceSetup
{
    // A large batch of texts to embed is the largest message there is.
    private const int MaxMessageBytes = 16 * 1024 * 1024;

    public static IServiceCollection AddInference(this IServiceCollection services)
    {
        services.AddOptions<EngineOptions>().BindConfiguration(EngineOptions.SectionName).ValidateOnStart();
        services.AddOptions<NativeOptions>().BindConfiguration(NativeOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IValidateOptions<EngineOptions>, EngineOptionsValidator>();
        services.AddSingleton<IValidateOptions<NativeOptions>, NativeOptionsValidator>();

        services.AddResilience();
        services.AddProviders();
        services.AddSingleton<NativeLibraries>();
        services.AddSingleton<InferenceMetrics>();
        services.TryAddSingleton<ChatShim>();
        services.AddSingleton<PrefixStore>();
        services.AddModels();
        services.AddHealthChecks().AddCheck<NativeLibrariesCheck>("native-libraries", tags: [HealthEndpoints.ReadyTag]);
        services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = MaxMessageBytes;
            // This service answers HTTP too: gRPC's catch-all route must not take its unknown paths.
            options.IgnoreUnknownServices = true;
        });
        return services;
    }

    private static void AddResilience(this IServiceCollection services)
    {
        services.AddOptions<CircuitOptions>().BindConfiguration(CircuitOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IValidateOptions<CircuitOptions>, CircuitOptionsValidator>();
        services.AddSingleton<CircuitBreakers>();
        services.AddSingleton<ModelCalls>();
    }

    private static void AddProviders(this IServiceCollection services)
    {
        services.AddOptions<ProvidersOptions>().BindConfiguration(ProvidersOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IValidateOptions<ProvidersOptions>, ProvidersOptionsValidator>();
        services.AddSingleton<IRemoteModels, RemoteModels>();
    }
}
