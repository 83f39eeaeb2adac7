using System.CommandLine;
using Fleet.Cli.Running;
using Fleet.Provisioning;
using Fleet.Provisioning.Native;
using Fleet.Provisioning.Processes;
using Fleet.Provisioning.Servers;
using Spectre.Console;

namespace Fleet.Cli.Commands;

/// <summary>What this machine has and lacks, without changing anything.</summary>
internal static class DoctorCommand
{
    private const long NeededBytes = 5L * 1024 * 1024 * 1024;
    private const int GatewayPort = 8080;
    private static readonly TimeSpan ToolLimit = TimeSpan.FromSeconds(15);

    private enum Verdict
    {
        Good,
        Note,
        Bad,
    }

    public static Command Create(FleetPaths paths)
    {
        var command = new Command("doctor", "Check what this machine has; exit code 1 when something necessary is missing");
        command.SetAction((_, cancellationToken) => RunAsync(paths, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(FleetPaths paths, CancellationToken cancellationToken)
    {
        List<Finding> findings =
        [
            await SdkAsync(paths, cancellationToken),
            await NodeAsync(cancellationToken),
            Feed(paths),
            await ServersAsync(paths, cancellationToken),
            NativeCode(paths),
            Shim(paths),
            Disk(paths.State, "Disk (clone)"),
            Disk(paths.Cache, "Disk (cache)"),
            Port(paths),
            await GpuAsync(cancellationToken),
        ];
        var table = new Table().Border(TableBorder.Rounded).AddColumns("", "what", "found");
        foreach (var (verdict, what, found) in findings)
            table.AddRow(Mark(verdict), new Text(what), new Text(found));
        AnsiConsole.Write(table);
        return findings.Any(finding => finding.Verdict == Verdict.Bad) ? 1 : 0;
    }

    private static async Task<Finding> SdkAsync(FleetPaths paths, CancellationToken cancellationToken)
    {
        // In the clone, where global.json applies.
        var version = await Tool.RunAsync("dotnet", ["--version"], cancellationToken, paths.Root);
        return new(version.Succeeded ? Verdict.Good : Verdict.Bad, ".NET SDK", version.Succeeded ? version.Output.Trim() : version.Tail(3));
    }

    private static async Task<Finding> NodeAsync(CancellationToken cancellationToken)
    {
        var version = await Tool.TryRunAsync("node", ["--version"], ToolLimit, cancellationToken);
        return version is { Succeeded: true }
            ? new(Verdict.Good, "Node.js", version.Output.Trim())
            : new(Verdict.Bad, "Node.js", "not found; 20 or newer is needed");
    }

    private static Finding Feed(FleetPaths paths)
    {
        if (!File.Exists(Starting.PackageFeed.File(paths)))
            return new(Verdict.Good, "Package feed", "not examined yet: full is assumed");
        return Starting.PackageFeed.IsPartial(paths)
            ? new(Verdict.Note, "Package feed", "partial: compat/ takes the place of what it lacks (FLEET_FEED=full forces the other way)")
            : new(Verdict.Good, "Package feed", "full (FLEET_FEED=partial forces the other way)");
    }

    private static async Task<Finding> ServersAsync(FleetPaths paths, CancellationToken cancellationToken)
    {
        if (Starting.ConnectionStrings.AllSet)
            return new(Verdict.Good, "Servers", "your own: every connection string is set");
        try
        {
            var servers = await ServerLocator.ExamineAsync(paths.Cache, cancellationToken);
            return new(Verdict.Good, "Servers", $"{servers.Source}: {servers.Why}");
        }
        catch (ProvisioningException exception)
        {
            return new(Verdict.Bad, "Servers", exception.Message);
        }
    }

    private static Finding NativeCode(FleetPaths paths)
    {
        try
        {
            var directory = new NativeLibraries(paths.Cache).DirectoryFor(NativeLibraries.DefaultFlavour);
            return Directory.Exists(directory)
                ? new(Verdict.Good, "llama.cpp", directory)
                : new(Verdict.Note, "llama.cpp", "not fetched yet; ./fleet up does");
        }
        catch (ProvisioningException exception)
        {
            return new(Verdict.Bad, "llama.cpp", exception.Message);
        }
    }

    private static Finding Shim(FleetPaths paths)
    {
        const string What = "Chat shim";
        try
        {
            var file = new ChatShim(paths.Cache).FileFor(NativeLibraries.DefaultFlavour);
            if (File.Exists(file))
                return new(Verdict.Good, What, file);
            const string Without = "until then local models have no tools, reasoning or JSON Schema";
            return new(Verdict.Note, What, Tool.Find("g++") is not null || (UnixProcess.IsRoot && Tool.Find("apt-get") is not null)
                ? $"not compiled yet; ./fleet up does. {Without}"
                : $"needs g++: install it, then ./fleet up compiles the shim; {Without}");
        }
        catch (ProvisioningException exception)
        {
            return new(Verdict.Note, What, exception.Message);
        }
    }

    private static Finding Disk(string path, string what)
    {
        var existing = path;
        while (!Directory.Exists(existing))
            existing = Path.GetDirectoryName(existing)!;
        var free = new DriveInfo(existing).AvailableFreeSpace;
        var text = $"{free / (1024.0 * 1024 * 1024):0.0} GiB free at {path}";
        return new(free >= NeededBytes ? Verdict.Good : Verdict.Note, what, text);
    }

    private static Finding Port(FleetPaths paths)
    {
        if (RunningFleet.Find(paths) is { } running)
            return new(Verdict.Good, "Gateway", $"running (pid {running.Pid}) at {FleetState.Read(paths)?.Address("gateway")}");
        return PortAllocator.IsFree(GatewayPort)
            ? new(Verdict.Good, "Gateway", $"port {GatewayPort} is free")
            : new(Verdict.Note, "Gateway", $"port {GatewayPort} is taken: ./fleet up --port …");
    }

    private static async Task<Finding> GpuAsync(CancellationToken cancellationToken)
    {
        var gpu = await Tool.TryRunAsync("nvidia-smi", ["--query-gpu=name,memory.total", "--format=csv,noheader"], ToolLimit, cancellationToken);
        return gpu is { Succeeded: true }
            ? new(Verdict.Good, "GPU", gpu.Output.Trim())
            : new(Verdict.Good, "GPU", "none; models run on the processor");
    }

    private static Text Mark(Verdict verdict) => verdict switch
    {
        Verdict.Good => new Text("✓", new Style(Color.Green)),
        Verdict.Note => new Text("!", new Style(Color.Yellow)),
        _ => new Text("✗", new Style(Color.Red)),
    };

    private sealed record Finding(Verdict Verdict, string What, string Found);
}
