using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Ingestion;

internal static class IngestionExtensions
{
    public static void AddIngestion(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<IValidateOptions<IngestionOptions>, IngestionOptionsValidator>();
        services.AddOptions<IngestionOptions>().BindConfiguration(IngestionOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IngestionJobs>();
        services.AddSingleton<IngestionLease>();
        services.AddSingleton<EmbeddingStore>();
        services.AddSingleton<IngestionSignals>();
        services.AddHostedService(provider => provider.GetRequiredService<IngestionSignals>());
        services.AddScoped<IngestionStore>();
        services.AddScoped<ChunkEmbedder>();
        services.AddScoped<DocumentIngestion>();
        services.AddHostedService<IngestionWorker>();
    }
}
