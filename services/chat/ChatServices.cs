using Fleet.Chat.Clients;
using Fleet.Chat.Generation;
using Fleet.Chat.OpenAi;
using Fleet.Chat.Runs;
using Fleet.Chat.Sessions;
using Fleet.Chat.Telemetry;
using Fleet.Chat.WebSockets;
using Microsoft.Extensions.Options;

namespace Fleet.Chat;

/// <summary>What each folder registers.</summary>
internal static class ChatServices
{
    public static void AddSessions(this WebApplicationBuilder builder)
    {
        builder.Services.AddScoped<SessionStore>();
        builder.Services.AddSingleton<ChatMetrics>();
    }

    public static void AddClients(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<GenerationOptions>().BindConfiguration(GenerationOptions.SectionName).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<GenerationOptions>, GenerationOptionsValidator>();
        builder.Services.AddSingleton<ServiceChannels>();
        builder.Services.AddSingleton<ModelCatalogue>();
        builder.Services.AddTransient<InferenceClient>();
        builder.Services.AddTransient<KnowledgeClient>();
        builder.Services.AddTransient<GenerationService>();
    }

    public static void AddRuns(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<RunOptions>().BindConfiguration(RunOptions.SectionName).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<RunOptions>, RunOptionsValidator>();
        builder.Services.AddSingleton<RunQueue>();
        builder.Services.AddSingleton<RunReader>();
        builder.Services.AddScoped<RunStore>();
        builder.Services.AddScoped<RunService>();
        builder.Services.AddScoped<RunExecutor>();
        builder.Services.AddScoped<RunPreparation>();
        builder.Services.AddScoped<RunSettlement>();
        builder.AddRunLog();
        builder.Services.AddHostedService<RunWorker>();
        builder.Services.AddHostedService<RunRecoveryWorker>();
    }

    public static void AddChatSocket(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<SocketHub>();
        builder.Services.AddSocketAuthentication();
    }

    // First in the list: the problem details of everything under /v1 take OpenAI's shape.
    public static void AddOpenAi(this WebApplicationBuilder builder) =>
        builder.Services.Insert(0, ServiceDescriptor.Singleton<IProblemDetailsWriter, OpenAiProblemWriter>());

    private static void AddRunLog(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<MemoryRunLog>();
        if (string.IsNullOrEmpty(builder.Configuration.GetConnectionString("redis")))
        {
            builder.Services.AddSingleton<IRunLog>(services => services.GetRequiredService<MemoryRunLog>());
            return;
        }

        builder.AddRedisClient("redis");
        builder.Services.AddSingleton<IRunLog, RedisRunLog>();
    }
}
