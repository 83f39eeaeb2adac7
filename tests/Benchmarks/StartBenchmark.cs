using System.Diagnostics;
using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks;

/// <summary>From the AppHost's start to the last service healthy, with empty data (first) and with data (next), and the idle fleet's memory.</summary>
internal sealed class StartBenchmark : Benchmark
{
    private const int NextStarts = 3;

    public override string Name => "start";

    public override string Description => "time until the whole fleet is ready, first and next start, and its idle memory";

    public override async Task<BenchmarkResult> RunAsync(Action<string> progress)
    {
        var state = Directory.CreateTempSubdirectory("fleet-bench-").FullName;
        try
        {
            progress("first start, empty data ...");
            var (first, memory) = await StartAsync(state);
            var next = new List<double>();
            for (var i = 0; i < NextStarts; i++)
            {
                progress($"next start {i + 1} of {NextStarts} ...");
                next.Add((await StartAsync(state)).Seconds);
            }

            return new BenchmarkResult(Name, new Dictionary<string, double>(), new Dictionary<string, double>
            {
                ["first_start_s"] = first,
                ["next_start_median_s"] = next.At(50),
                ["idle_memory_mb"] = memory / 1e6,
            });
        }
        finally
        {
            Directory.Delete(state, recursive: true);
        }
    }

    private static async Task<(double Seconds, long MemoryBytes)> StartAsync(string state)
    {
        var started = Stopwatch.GetTimestamp();
        await using var fleet = await BenchmarkFleet.StartAsync(state);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return (seconds, BenchmarkFleet.MemoryBytes());
    }
}
