using Fleet.Inference.Models.Downloads;
using Fleet.ServiceDefaults.Health;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

internal static class ModelsSetup
{
    public static IServiceCollection AddModels(this IServiceCollection services)
    {
        services.AddModelsOptions();
        services.AddOptions<ModelCheckOptions>().BindConfiguration(ModelCheckOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IValidateOptions<ModelCheckOptions>, ModelCheckOptionsValidator>();
        services.AddSingleton<ModelCheck>();
        services.AddSingleton<IModelLoader, LlamaModelLoader>();
        services.AddSingleton<ModelCatalogue>();
        services.AddSingleton<ModelRouting>();
        services.AddSingleton<MachineMemory>();
        services.AddSingleton<ModelMemory>();
        services.AddSingleton<ModelHost>();
        services.AddHostedService(provider => provider.GetRequiredService<ModelHost>());
        services.AddOptions<DownloadsOptions>().BindConfiguration(DownloadsOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IValidateOptions<DownloadsOptions>, DownloadsOptionsValidator>();
        services.AddSingleton<ModelDownloads>();
        services.AddHostedService(provider => provider.GetRequiredService<ModelDownloads>());
        services.AddSingleton<ModelPreloader>();
        services.AddHostedService(provider => provider.GetRequiredService<ModelPreloader>());
        services.AddHealthChecks().AddCheck<ModelPreloadCheck>("preload", tags: [HealthEndpoints.ReadyTag]);
        services.AddSingleton<ModelEvents>();
        services.AddHostedService(provider => provider.GetRequiredService<ModelEvents>());
        return services;
    }

    public static IServiceCollection AddModelsOptions(this IServiceCollection services)
    {
        services.AddOptions<ModelsOptions>()
            .BindConfiguration(ModelsOptions.SectionName)
            .Configure<IConfiguration>(BindModels)
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<ModelsOptions>, ModelsOptionsValidator>();
        return services;
    }

    // The binder drops an entry of a dictionary that it cannot read, without a word: a misspelt option would silently mean the default.
    private static void BindModels(ModelsOptions options, IConfiguration configuration)
    {
        foreach (var section in configuration.GetSection($"{ModelsOptions.SectionName}:{nameof(ModelsOptions.Models)}").GetChildren())
        {
            try
            {
                options.Models[section.Key] = section.Get<ModelOptions>(binder => binder.ErrorOnUnknownConfiguration = true) ?? new ModelOptions();
            }
            catch (InvalidOperationException exception)
            {
                throw new OptionsValidationException(nameof(ModelsOptions), typeof(ModelsOptions), [$"{section.Path} cannot be read: {exception.Message}"]);
            }
        }
    }
}
