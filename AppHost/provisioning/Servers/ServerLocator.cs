using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Servers;

/// <summary>
/// Chooses where the backing servers come from: a container engine that answers, the host's own when they suffice, a private Debian root.
/// Connection strings that are already set come before all of these and are the caller's to see.
/// </summary>
public static class ServerLocator
{
    /// <summary><c>container</c>, <c>host</c> or <c>debian</c> skips the search.</summary>
    public const string Variable = "FLEET_SERVERS";

    private static readonly TimeSpan EngineLimit = TimeSpan.FromSeconds(10);

    /// <summary>Finds an installation and makes it when it has to be made, which can take minutes the first time.</summary>
    public static Task<ServerInstallation> LocateAsync(IProgress<string> progress, CancellationToken cancellationToken) =>
        LocateAsync(FleetPaths.Discover().Cache, Environment.GetEnvironmentVariable(Variable), progress, cancellationToken);

    /// <summary>The same without making anything, for <c>./fleet doctor</c>.</summary>
    public static Task<ServerInstallation> ExamineAsync(string cacheDirectory, CancellationToken cancellationToken) =>
        LocateAsync(cacheDirectory, Environment.GetEnvironmentVariable(Variable), null, cancellationToken);

    private static async Task<ServerInstallation> LocateAsync(
        string cacheDirectory, string? forced, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var any = string.IsNullOrEmpty(forced);
        if (!any && forced is not ("container" or "host" or "debian"))
            throw new ProvisioningException($"{Variable}={forced} is not known; it can be container, host or debian.");
        var because = any ? "" : $" ({Variable}={forced})";
        List<string> refused = [];

        if (any || forced == "container")
        {
            var engine = await Tool.TryRunAsync("docker", ["info", "--format", "{{.ServerVersion}}"], EngineLimit, cancellationToken);
            if (engine is { Succeeded: true })
                return new ContainerInstallation($"A container engine answers{because}.");
            refused.Add(engine is null ? "there is no container engine" : "the container engine does not answer");
        }

        if (any || forced == "host")
        {
            var (binaries, missing) = await HostServers.FindAsync(cancellationToken);
            if (binaries is not null)
                return new LocalInstallation(ServerSource.Host, $"The host has every server that is needed{because}{After(refused)}.", binaries);
            refused.Add($"the host's servers do not suffice ({string.Join(", ", missing)})");
        }

        if (any || forced == "debian")
        {
            var whyNot = await DebianRoot.WhyNotAsync(cancellationToken);
            if (whyNot is null)
            {
                var root = new DebianRoot(cacheDirectory);
                if (progress is not null)
                    await root.EnsureAsync(progress, cancellationToken);
                var state = root.Exists ? $"in {root.Directory}" : $"to be made in {root.Directory}";
                return new LocalInstallation(
                    ServerSource.DebianRoot, $"A private Debian root {state}{because}{After(refused)}.", root.Binaries);
            }

            refused.Add($"no private Debian root can be made ({whyNot})");
        }

        throw new ProvisioningException($"""
            No PostgreSQL, RabbitMQ and Redis to run on: {string.Join("; ", refused)}.
            Any one of these helps:
              - start a container engine, so that "docker info" answers;
              - install PostgreSQL 15 or newer with pgvector and pg_trgm, RabbitMQ 3.10 or newer and Redis 7 or Valkey;
              - on Debian or Ubuntu, run this command as root once (a private Debian root is then made in the cache folder);
              - set ConnectionStrings__postgres, ConnectionStrings__rabbitmq and ConnectionStrings__redis to servers of your own.
            """);
    }

    private static string After(List<string> refused) => refused.Count == 0 ? "" : $", because {string.Join(" and ", refused)}";
}
