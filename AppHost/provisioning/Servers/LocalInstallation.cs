using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Servers;

/// <summary>
/// Servers run as plain processes, from the host or from the private Debian root.
/// <para>
/// As root, each server gets a mount namespace of its own in which its data directory is bound to <c>/mnt</c>, and then drops to the
/// account its package made: nothing stays mounted after a kill, and a clone below a folder that the account may not enter still works.
/// As anyone else (host servers only) the server simply runs as that user on the data directory itself.
/// </para>
/// </summary>
public sealed class LocalInstallation(ServerSource source, string why, LocalBinaries binaries) : ServerInstallation(source, why)
{
    private const string BoundData = "/mnt";
    private static readonly bool Confined = UnixProcess.IsRoot;

    // $1 root, $2 data directory, $3 account; the rest is the command. Every step replaces the shell in the end: one process.
    private const string ConfinedScript = """
        set -e
        root=$1; data=$2; user=$3; shift 3
        mount --bind "$data" "$root/mnt"
        if [ "$root" != / ]; then
          mount --rbind /dev "$root/dev"
          mount --rbind /proc "$root/proc"
          mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
          mount -t tmpfs -o mode=755 tmpfs "$root/run"
        fi
        exec chroot --userspec="$user:$user" --groups= "$root" "$@"
        """;

    // $1 root, $2 data directory, $3 account. The account's number may change with another root, the data stays.
    private const string OwnScript = """
        set -e
        id=$(chroot "$1" id -u "$3"):$(chroot "$1" id -g "$3")
        [ "$(stat -c %u:%g "$2")" = "$id" ] || chown -R "$id" "$2"
        chmod 700 "$2"
        """;

    // The broker starts epmd, which outlives it; run it as our own child instead, so that it ends with the broker.
    private const string RabbitMqScript = """
        epmd -port "$ERL_EPMD_PORT" & epmd=$!
        "$@" & broker=$!
        trap 'kill -TERM $broker' TERM INT
        wait $broker; status=$?
        while kill -0 $broker 2>/dev/null; do wait $broker; status=$?; done
        kill $epmd
        exit $status
        """;

    public LocalBinaries Binaries { get; } = binaries;

    public override ServerLaunch PostgreSql(
        string dataDirectory, int port, string password, bool durable = true, string user = UserName)
    {
        var cluster = $"pg{Binaries.PostgreSqlMajor}";
        var seen = Seen(dataDirectory);
        string[] durability = durable ? [] : ["-c", "fsync=off", "-c", "full_page_writes=off"];
        var (fileName, arguments) = Wrap(dataDirectory, "postgres", [
            $"{Binaries.PostgreSqlBin}/postgres", "-D", $"{seen}/{cluster}", "-p", $"{port}",
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=400",
            "-c", "shared_buffers=256MB", .. durability,
        ]);

        return new ServerLaunch
        {
            Name = "postgres",
            FileName = fileName,
            Arguments = arguments,
            Environment = PlainEnvironment,
            Port = port,
            ConnectionString = PostgreSqlConnection(port, user, password),
            StopSignal = UnixProcess.SigInt, // "fast": open sessions are ended, a plain SIGTERM waits for them
            PrepareAsync = token => PreparePostgreSqlAsync(dataDirectory, cluster, user, password, token),
            IsReadyAsync = token => ServerProbes.PostgreSqlAsync(port, user, token),
        };
    }

    public override ServerLaunch RabbitMq(
        string dataDirectory, int port, string password, PortAllocator ports, string user = UserName)
    {
        var seen = Seen(dataDirectory);
        var (fileName, arguments) = Wrap(
            dataDirectory, "rabbitmq", ["sh", "-c", RabbitMqScript, "sh", Binaries.RabbitMqServer]);

        return new ServerLaunch
        {
            Name = "rabbitmq",
            FileName = fileName,
            Arguments = arguments,
            Environment = new Dictionary<string, string>(PlainEnvironment)
            {
                // Erlang keeps its cookie in HOME: one per data directory.
                ["HOME"] = seen,
                ["RABBITMQ_NODENAME"] = "fleet@localhost",
                ["RABBITMQ_NODE_IP_ADDRESS"] = "127.0.0.1",
                ["RABBITMQ_NODE_PORT"] = $"{port}",
                ["RABBITMQ_DIST_PORT"] = $"{ports.Get("rabbitmq-distribution")}",
                ["ERL_EPMD_PORT"] = $"{ports.Get("rabbitmq-epmd")}",
                ["ERL_EPMD_ADDRESS"] = "127.0.0.1",
                ["RABBITMQ_CONFIG_FILE"] = $"{seen}/rabbitmq.conf",
                ["RABBITMQ_CONF_ENV_FILE"] = $"{seen}/rabbitmq-env.conf",
                ["RABBITMQ_ENABLED_PLUGINS_FILE"] = $"{seen}/enabled_plugins",
                ["RABBITMQ_MNESIA_BASE"] = $"{seen}/mnesia",
                ["RABBITMQ_LOG_BASE"] = $"{seen}/log",
                ["RABBITMQ_LOGS"] = "-",
                // Makes the script become the broker instead of waiting for it; nothing else depends on systemd being there.
                ["RUNNING_UNDER_SYSTEMD"] = "yes",
                // No busy waiting: by default idle schedulers spin, which a machine with few cores feels in everything else.
                ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] =
                    "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
            },
            Port = port,
            ConnectionString = RabbitMqConnection(port, user, password),
            StopTimeout = TimeSpan.FromSeconds(30),
            PrepareAsync = token => PrepareRabbitMqAsync(dataDirectory, port, user, password, token),
            IsReadyAsync = token => ServerProbes.RabbitMqAsync(port, token),
        };
    }

    public override ServerLaunch Redis(string dataDirectory, int port, string password, bool durable = true)
    {
        var (fileName, arguments) = Wrap(
            dataDirectory, Binaries.RedisUser, [Binaries.RedisServer, $"{Seen(dataDirectory)}/redis.conf"]);

        return new ServerLaunch
        {
            Name = "redis",
            FileName = fileName,
            Arguments = arguments,
            Environment = PlainEnvironment,
            Port = port,
            ConnectionString = RedisConnection(port, password),
            PrepareAsync = token => PrepareRedisAsync(dataDirectory, port, password, durable, token),
            IsReadyAsync = token => ServerProbes.RedisAsync(port, password, token),
        };
    }

    // The host's locale and search path would mean something else inside the root.
    private static Dictionary<string, string> PlainEnvironment => new()
    {
        ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ["LC_ALL"] = "C.UTF-8",
        ["LANG"] = "C.UTF-8",
    };

    private static string Seen(string dataDirectory) => Confined ? BoundData : dataDirectory;

    private (string FileName, string[] Arguments) Wrap(string dataDirectory, string user, string[] command) => Confined
        ? ("setsid", ["unshare", "--mount", "sh", "-c", ConfinedScript, "sh", Binaries.Root, dataDirectory, user, .. command])
        : ("setsid", command);

    private async Task PreparePostgreSqlAsync(
        string dataDirectory, string cluster, string user, string password, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(dataDirectory);
        RemoveStalePostmasterFile(Path.Combine(dataDirectory, cluster, "postmaster.pid"));
        if (Directory.Exists(Path.Combine(dataDirectory, cluster)))
        {
            await OwnAsync(dataDirectory, "postgres", cancellationToken);
            return;
        }

        // Made under another name and renamed when whole: an initdb that was killed leaves nothing that looks like a cluster.
        var unfinished = Path.Combine(dataDirectory, cluster + ".new");
        if (Directory.Exists(unfinished))
            Directory.Delete(unfinished, recursive: true);
        var passwordFile = Path.Combine(dataDirectory, "initial-password");
        AtomicFile.Write(passwordFile, password, secret: true);
        try
        {
            await OwnAsync(dataDirectory, "postgres", cancellationToken, always: true);
            var seen = Seen(dataDirectory);
            var (fileName, arguments) = Wrap(dataDirectory, "postgres", [
                $"{Binaries.PostgreSqlBin}/initdb", "-D", $"{seen}/{cluster}.new", "-U", user, "--encoding=UTF8", "--locale=C.UTF-8",
                "--auth=scram-sha-256", $"--pwfile={seen}/initial-password", "--no-instructions",
            ]);
            await RunAsync("initdb", fileName, arguments, cancellationToken);
            Directory.Move(unfinished, Path.Combine(dataDirectory, cluster));
        }
        finally
        {
            File.Delete(passwordFile);
        }
    }

    /// <summary>
    /// After a kill the file still names a pid that may belong to someone else by now, and PostgreSQL would refuse to start. It is kept
    /// only when that pid is a postmaster.
    /// </summary>
    internal static void RemoveStalePostmasterFile(string file)
    {
        if (!File.Exists(file))
            return;
        var lines = UnixProcess.ReadOrEmpty(file).Split('\n');
        if (!int.TryParse(lines[0], out var pid))
        {
            File.Delete(file);
            return;
        }

        const int PortLine = 3;
        var port = lines.ElementAtOrDefault(PortLine)?.Trim();
        var command = UnixProcess.ReadOrEmpty($"/proc/{pid}/cmdline").Split('\0');
        if (command[0].EndsWith("postgres", StringComparison.Ordinal) && command.Contains(port))
            throw new ProvisioningException($"PostgreSQL (pid {pid}) still runs on this data. Stop it first: ./fleet down");
        File.Delete(file);
    }

    private async Task PrepareRabbitMqAsync(
        string dataDirectory, int port, string user, string password, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.Combine(dataDirectory, "mnesia"));
        Directory.CreateDirectory(Path.Combine(dataDirectory, "log"));
        AtomicFile.Write(Path.Combine(dataDirectory, "rabbitmq.conf"), $"""
            listeners.tcp.1 = 127.0.0.1:{port}
            default_user = {user}
            default_pass = {password}
            disk_free_limit.absolute = 256MB
            log.console.level = info

            """, secret: true);
        AtomicFile.Write(Path.Combine(dataDirectory, "rabbitmq-env.conf"), "");
        AtomicFile.Write(Path.Combine(dataDirectory, "enabled_plugins"), "[].\n");
        await OwnAsync(dataDirectory, "rabbitmq", cancellationToken, always: true);
    }

    private async Task PrepareRedisAsync(
        string dataDirectory, int port, string password, bool durable, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(dataDirectory);
        AtomicFile.Write(Path.Combine(dataDirectory, "redis.conf"), $"""
            bind 127.0.0.1
            port {port}
            dir "{Seen(dataDirectory)}"
            requirepass {password}
            appendonly {(durable ? "yes" : "no")}
            {(durable ? "save 300 10" : "save \"\"")}
            daemonize no

            """, secret: true);
        await OwnAsync(dataDirectory, Binaries.RedisUser, cancellationToken, always: true);
    }

    private async Task OwnAsync(string dataDirectory, string user, CancellationToken cancellationToken, bool always = false)
    {
        if (!Confined)
            return;
        var script = always ? OwnScript.Replace("[ \"$(stat -c %u:%g \"$2\")\" = \"$id\" ] || ", "", StringComparison.Ordinal) : OwnScript;
        await RunAsync("chown", "sh", ["-c", script, "sh", Binaries.Root, dataDirectory, user], cancellationToken);
    }

    private static async Task RunAsync(string what, string fileName, string[] arguments, CancellationToken cancellationToken)
    {
        var result = await Tool.RunAsync(fileName, arguments, cancellationToken, environment: PlainEnvironment);
        if (!result.Succeeded)
            throw new ProvisioningException($"{what} failed with exit code {result.ExitCode}:\n{result.Tail()}");
    }
}
