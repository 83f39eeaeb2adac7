using Aspire.Hosting.Orchestration;
using Fleet.Provisioning;
using Fleet.Provisioning.Processes;

namespace Aspire.Hosting.Testing;

/// <summary>
/// A test fleet's own state, <c>.fleet/test/&lt;id&gt;</c>, so that it can run beside <c>./fleet up</c>. It is deleted at the end of the test;
/// what a killed test run left is ended and deleted by the next one.
/// </summary>
internal static class TestStateDirectory
{
    private static readonly TimeSpan StragglerGrace = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Abandoned = TimeSpan.FromMinutes(2);

    public static string Create(string appHostDirectory)
    {
        var root = Path.GetFullPath("../.fleet/test", appHostDirectory);
        var directory = Path.Combine(root, Guid.CreateVersion7().ToString("N")[..16]);
        Directory.CreateDirectory(directory);
        return directory;
    }

    public static async Task RemoveAbandonedAsync(string appHostDirectory, CancellationToken cancellationToken)
    {
        var root = Path.GetFullPath("../.fleet/test", appHostDirectory);
        if (!Directory.Exists(root))
            return;
        foreach (var directory in Directory.EnumerateDirectories(root).ToArray())
        {
            // A fleet takes its lock shortly after its folder is made; one that has it is somebody's.
            var paths = new FleetPaths(root, directory);
            if (DateTime.UtcNow - Directory.GetCreationTimeUtc(directory) < Abandoned || !Directory.Exists(paths.Run))
                continue;
            using (var runLock = RunLock.TryAcquire(paths))
            {
                if (runLock is null)
                    continue;
                await new ProcessRegistry(paths.ProcessesFile).KillStragglersAsync(StragglerGrace, cancellationToken);
            }

            Delete(directory);
        }
    }

    public static void Delete(string directory)
    {
        try
        {
            Directory.Delete(directory, recursive: true);
            var root = Path.GetDirectoryName(directory)!;
            if (!Directory.EnumerateFileSystemEntries(root).Any())
                Directory.Delete(root);
        }
        catch (DirectoryNotFoundException)
        {
            // Deleted twice is deleted.
        }
        catch (IOException)
        {
            // A log that is still being looked at; the next run tries again.
        }
    }
}
