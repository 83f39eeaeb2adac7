using System.Diagnostics;
using System.Reflection;
using System.Text;
using Fleet.Compat.Grpc.Tests;

[assembly: AssemblyFixture(typeof(GrpcJsPeer))]

namespace Fleet.Compat.Grpc.Tests;

/// <summary>
/// grpc-js, somebody else's gRPC, in a Node process. Installed once per test run from the checked-in lock file;
/// where there is no Node the tests that need it are skipped and say so.
/// </summary>
public sealed class GrpcJsPeer : IAsyncLifetime
{
    private static readonly TimeSpan InstallPatience = TimeSpan.FromMinutes(3);

    private static readonly string Folder = Assembly.GetExecutingAssembly().GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "GrpcJsFolder").Value!;

    private string? _unavailable;

    public static string ProtoFile => Path.Combine(AppContext.BaseDirectory, "Protos", "echo.proto");

    public async ValueTask InitializeAsync()
    {
        // npm writes this copy of the lock file when an installation is complete.
        var installed = new FileInfo(Path.Combine(Folder, "node_modules", ".package-lock.json"));
        if (installed.Exists && installed.LastWriteTimeUtc >= File.GetLastWriteTimeUtc(Path.Combine(Folder, "package-lock.json")))
            return;
        try
        {
            using var timeout = new CancellationTokenSource(InstallPatience);
            using var npm = Start("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund");
            var (output, errors) = (npm.StandardOutput.ReadToEndAsync(timeout.Token), npm.StandardError.ReadToEndAsync(timeout.Token));
            await npm.WaitForExitAsync(timeout.Token);
            if (npm.ExitCode != 0)
                throw new InvalidOperationException($"npm ci failed: {await output}{await errors}");
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            _unavailable = $"Node and npm are not installed: {exception.Message}";
        }
    }

    public Process StartNode(params string[] arguments)
    {
        Assert.SkipWhen(_unavailable is not null, _unavailable ?? string.Empty);
        return Start("node", arguments);
    }

    public ValueTask DisposeAsync() => default;

    private static Process Start(string program, params string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
        });
        return process ?? throw new InvalidOperationException($"{program} did not start.");
    }
}
