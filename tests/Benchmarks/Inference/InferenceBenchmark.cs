using System.Diagnostics;
using System.Text.Json;
using Fleet.Provisioning;
using Fleet.Provisioning.Native;
using Fleet.Provisioning.Processes;

namespace Fleet.Benchmarks.Inference;

/// <summary>The rows L1 to L9 of performance.md: Fleet's inference service beside llama.cpp's own server, by the protocol of its §1.1.</summary>
internal static class InferenceBenchmark
{
    public const string Name = "inference";
    public const string Description = "the inference service beside llama.cpp's own server: speed, sharing, stalls, contention (L1-L9)";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };
    private static readonly TimeSpan RowLimit = TimeSpan.FromMinutes(25);

    private static IReadOnlyList<Row> Rows { get; } =
    [
        new ThroughputRow(), new SharedPrefixRow(), new InterferenceRow(), new HogRow(), new GoodputRow(), new TurnsRow(), new LeakRow(), new SpeculationRow(),
        new RestartRow(), new EqualityRow(),
    ];

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        try
        {
            var options = InferenceOptions.Parse(arguments);
            var result = await RunAsync(options);
            Console.WriteLine(options switch
            {
                { Json: true } => JsonSerializer.Serialize(result.ToJson(), Json),
                { Markdown: true } => result.ToMarkdown(),
                _ => result.ToText(),
            });
            return result.Failures.Count == 0 ? 0 : 1;
        }
        catch (Exception exception) when (exception is BenchmarkException or ProvisioningException)
        {
            Console.Error.WriteLine(exception.Message);
            return 2;
        }
    }

    private static async Task<InferenceResult> RunAsync(InferenceOptions options)
    {
        var started = DateTimeOffset.UtcNow;
        var clock = Stopwatch.StartNew();
        var rows = Chosen(options);
        var paths = FleetPaths.Discover();
        paths.CreateDirectories();
        // Two runs on one machine would measure each other.
        using var held = await FileLock.AcquireAsync(Path.Combine(paths.Run, "bench.lock"), () => Progress("another benchmark is running; waiting for it"), CancellationToken.None);
        await new ProcessRegistry(Path.Combine(paths.Run, "bench-processes.json")).KillStragglersAsync(TimeSpan.FromSeconds(10), CancellationToken.None);

        var steps = new Steps();
        var reference = options.Reference is { } directory ? ReferenceServer.At(directory) : await ReferenceServer.EnsureAsync(paths.Cache, steps, CancellationToken.None);
        var model = options.Model switch
        {
            null => await BenchmarkModel.EnsureAsync(paths.Cache, ModelShape.Real, reference, steps, CancellationToken.None),
            InferenceOptions.SmallModel => await BenchmarkModel.EnsureAsync(paths.Cache, ModelShape.Small, reference, steps, CancellationToken.None),
            var file => BenchmarkModel.At(Path.GetFullPath(file)),
        };
        var work = Directory.CreateTempSubdirectory("fleet-bench-").FullName;
        var saved = Path.Combine(Directory.CreateDirectory(Path.Combine(paths.State, "bench")).FullName, $"inference-{started:yyyyMMdd-HHmmss}.json");
        try
        {
            var context = new BenchContext(options, paths, reference, model, work, Progress);
            List<RowResult> results = [];
            List<(string, string)> failures = [];
            foreach (var row in rows)
            {
                var result = new RowResult(row.Id);
                try
                {
                    await row.MeasureAsync(context, result).WaitAsync(RowLimit);
                    results.Add(result);
                }
                catch (Exception exception)
                {
                    Progress($"{row.Id} failed: {exception}");
                    failures.Add((row.Id, exception.Message));
                    // What it had measured before counts.
                    if (result.Ratios.Count + result.Figures.Count > 0)
                        results.Add(result);
                    // Its servers, if it left any.
                    await context.Registry.KillStragglersAsync(TimeSpan.FromSeconds(5), CancellationToken.None);
                }

                // A run that is interrupted keeps the rows it has.
                AtomicFile.Write(saved, JsonSerializer.Serialize(Result().ToJson(), Json));
            }

            Progress($"saved in {saved}");
            return Result();

            InferenceResult Result() => new(results, failures, new RunDescription(
                Benchmark.Machine(), Commit(paths.Root), Path.GetFileName(model.Path), model.Sha256, started, Math.Round(clock.Elapsed.TotalMinutes, 1), options.Quick));
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static IReadOnlyList<Row> Chosen(InferenceOptions options)
    {
        if (options.Rows.Count == 0)
            return [.. Rows.Where(row => !row.OnRequest)];
        var unknown = options.Rows.Where(id => !Rows.Any(row => Is(row, id))).ToList();
        return unknown.Count == 0
            ? [.. Rows.Where(row => options.Rows.Any(id => Is(row, id)))]
            : throw new BenchmarkException($"There is no row {string.Join(", ", unknown)}. There are: {string.Join(", ", Rows.Select(row => $"{row.Id} ({row.Title})"))}.");

        static bool Is(Row row, string id) => row.Id.Equals(id, StringComparison.OrdinalIgnoreCase);
    }

    private static string Commit(string root)
    {
        using var git = Process.Start(new ProcessStartInfo("git", ["-C", root, "describe", "--always", "--dirty", "--exclude", "*"]) { RedirectStandardOutput = true, RedirectStandardError = true });
        var commit = git?.StandardOutput.ReadToEnd().Trim();
        return string.IsNullOrEmpty(commit) ? "unknown" : commit;
    }

    // Beside the answer, which may be JSON.
    private static void Progress(string text) => Console.Error.WriteLine($"{DateTime.UtcNow:HH:mm:ss} {text}");

    private sealed class Steps : IProgress<string>
    {
        public void Report(string value) => Progress(value);
    }
}
