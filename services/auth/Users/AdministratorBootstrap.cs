using System.Buffers.Text;
using System.Security.Cryptography;
using Fleet.Auth.Data;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Fleet.Auth.Users;

/// <summary>
/// At the first start there has to be somebody who can let others in: the user <c>admin</c>, whose random password goes into a file that only
/// its owner can read. Later starts change nothing.
/// </summary>
internal sealed partial class AdministratorBootstrap(
    NpgsqlDataSource database, IServiceScopeFactory scopes, IOptions<AuthOptions> options, ILogger<AdministratorBootstrap> logger) : IHostedLifecycleService
{
    public const string UserName = "admin";

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        if (options.Value.AdministratorPasswordFile is { Length: > 0 } file)
            return StartupLock.RunAsync(database, () => CreateAsync(file, cancellationToken), cancellationToken);

        Log.NotConfigured(logger);
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task CreateAsync(string file, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        if (await scope.ServiceProvider.GetRequiredService<UserManager<FleetUser>>().FindByNameAsync(UserName) is not null)
            return;

        // The file comes first: a password without an account is replaced by the next start, an account without a password by nobody.
        var password = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(18));
        await WriteAsync(file, password, cancellationToken);
        var registration = await scope.ServiceProvider.GetRequiredService<RegistrationService>()
            .CreateAsync(UserName, "admin@localhost", password, Roles.Administrator, cancellationToken);
        if (registration.Outcome != RegistrationOutcome.Registered)
            throw new InvalidOperationException($"The administrator could not be created: {registration.Outcome}.");

        Log.Created(logger, file);
    }

    private static async Task WriteAsync(string file, string password, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

        // A new file of our own, so that the mode is ours whatever lay there before; renaming makes it appear whole.
        var draft = $"{file}.{Guid.NewGuid():N}";
        await using (var writer = new StreamWriter(draft, options))
            await writer.WriteLineAsync(password.AsMemory(), cancellationToken);

        File.Move(draft, file, overwrite: true);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "The user admin was created; the password is in {File}")]
        public static partial void Created(ILogger logger, string file);

        [LoggerMessage(LogLevel.Warning, "Auth:AdministratorPasswordFile is not set, so no administrator is created")]
        public static partial void NotConfigured(ILogger logger);
    }
}
