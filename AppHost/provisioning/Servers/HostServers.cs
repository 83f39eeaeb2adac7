using System.Globalization;
using System.Text.RegularExpressions;
using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Servers;

/// <summary>Looks for servers installed on the host that are new enough and whole: PostgreSQL with both extensions, RabbitMQ, Redis.</summary>
internal static partial class HostServers
{
    private const int MinimumPostgreSql = 15;
    private const int MinimumRedis = 7;
    private static readonly Version MinimumRabbitMq = new(3, 10);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <summary>The programs, or every reason why they do not suffice.</summary>
    public static async Task<(LocalBinaries? Binaries, IReadOnlyList<string> Missing)> FindAsync(CancellationToken cancellationToken)
    {
        List<string> missing = [];
        var postgreSql = await FindPostgreSqlAsync(missing, cancellationToken);
        var redis = await FindRedisAsync(missing, cancellationToken);
        var rabbitMq = await FindRabbitMqAsync(missing, cancellationToken);
        return missing.Count > 0 || postgreSql is not var (bin, major) || redis is null || rabbitMq is null
            ? (null, missing)
            : (new LocalBinaries("/", bin, major, rabbitMq, redis, Path.GetFileName(redis) == "valkey-server" ? "valkey" : "redis"), []);
    }

    private static async Task<(string Bin, int Major)?> FindPostgreSqlAsync(List<string> missing, CancellationToken cancellationToken)
    {
        IEnumerable<string> packaged = Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").OrderDescending(StringComparer.Ordinal).Select(version => $"{version}/bin")
            : [];
        var onPath = Tool.Find("postgres") is { } found ? [Path.GetDirectoryName(found)!] : Array.Empty<string>();
        var bins = packaged.Concat(onPath).Where(bin => File.Exists($"{bin}/postgres") && File.Exists($"{bin}/initdb")).ToList();
        if (bins.Count == 0)
        {
            missing.Add("PostgreSQL's server is not installed");
            return null;
        }

        var problem = "";
        foreach (var bin in bins)
        {
            var version = await FirstNumberAsync($"{bin}/postgres", cancellationToken);
            if (version is null || version.Major < MinimumPostgreSql)
            {
                problem = $"PostgreSQL {version} is older than {MinimumPostgreSql}";
                continue;
            }

            var extensions = await ExtensionDirectoryAsync(bin, version.Major, cancellationToken);
            var absent = ((string[])["vector", "pg_trgm"]).Where(name => !File.Exists($"{extensions}/{name}.control")).ToList();
            if (absent.Count == 0)
                return (bin, version.Major);
            problem = $"PostgreSQL {version.Major} lacks the extension {string.Join(" and ", absent)}";
        }

        missing.Add(problem);
        return null;
    }

    private static async Task<string> ExtensionDirectoryAsync(string bin, int major, CancellationToken cancellationToken)
    {
        var packaged = $"/usr/share/postgresql/{major}/extension";
        if (Directory.Exists(packaged))
            return packaged;
        var shared = await Tool.TryRunAsync($"{bin}/pg_config", ["--sharedir"], Limit, cancellationToken);
        return $"{shared?.Output.Trim()}/extension";
    }

    private static async Task<string?> FindRedisAsync(List<string> missing, CancellationToken cancellationToken)
    {
        var server = Tool.Find("valkey-server", "/usr/sbin") ?? Tool.Find("redis-server", "/usr/sbin");
        if (server is null)
        {
            missing.Add("neither Redis nor Valkey is installed");
            return null;
        }

        var version = await FirstNumberAsync(server, cancellationToken);
        if (version?.Major >= MinimumRedis)
            return server;
        missing.Add($"Redis {version} is older than {MinimumRedis}");
        return null;
    }

    private static async Task<string?> FindRabbitMqAsync(List<string> missing, CancellationToken cancellationToken)
    {
        // Debian's /usr/sbin/rabbitmq-server changes user; the one below /usr/lib runs as its caller.
        string[] known = ["/usr/lib/rabbitmq/bin/rabbitmq-server"];
        var server = known.FirstOrDefault(File.Exists) ?? Tool.Find("rabbitmq-server");
        if (server is null)
        {
            missing.Add("RabbitMQ is not installed");
            return null;
        }

        var version = await RabbitMqVersionAsync(cancellationToken);
        if (version >= MinimumRabbitMq)
            return server;
        missing.Add($"RabbitMQ {version} is older than {MinimumRabbitMq}");
        return null;
    }

    private static async Task<Version?> RabbitMqVersionAsync(CancellationToken cancellationToken)
    {
        // The folder's name saves starting an Erlang machine.
        const string Prefix = "rabbitmq_server-";
        const string Library = "/usr/lib/rabbitmq/lib";
        var folder = Directory.Exists(Library) ? Directory.GetDirectories(Library, Prefix + "*").Max() : null;
        return folder is not null
            ? ParseVersion(Path.GetFileName(folder))
            : await FirstNumberAsync("rabbitmqctl", cancellationToken, "version");
    }

    private static async Task<Version?> FirstNumberAsync(string program, CancellationToken cancellationToken, string argument = "--version") =>
        ParseVersion((await Tool.TryRunAsync(program, [argument], Limit, cancellationToken))?.Output ?? "");

    internal static Version? ParseVersion(string text)
    {
        var match = VersionPattern().Match(text);
        return match.Success
            ? new Version(Number(match.Groups["major"]), match.Groups["minor"].Success ? Number(match.Groups["minor"]) : 0)
            : null;

        static int Number(Group group) => int.Parse(group.Value, CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"(?<major>\d+)(\.(?<minor>\d+))?")]
    private static partial Regex VersionPattern();
}
