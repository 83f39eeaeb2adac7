using Fleet.Auth.Data;
using Npgsql;

namespace Fleet.Auth.SigningKeys;

/// <summary>Before the service takes requests: makes the first key where there is none and loads all of them.</summary>
internal sealed partial class SigningKeyLoader(NpgsqlDataSource database, SigningKeyStore store, SigningKeyRing ring, ILogger<SigningKeyLoader> logger)
    : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => StartupLock.RunAsync(
        database,
        async () =>
        {
            var keys = await store.ReadAllAsync(cancellationToken);
            if (!keys.Any(key => key.IsActive))
            {
                await store.CreateActiveAsync(cancellationToken);
                keys = await store.ReadAllAsync(cancellationToken);
                Log.KeyCreated(logger);
            }

            ring.Replace(keys.Single(key => key.IsActive).Key, [.. keys.Select(key => key.Key)]);
        },
        cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "A signing key was created")]
        public static partial void KeyCreated(ILogger logger);
    }
}
