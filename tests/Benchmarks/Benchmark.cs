using System.Globalization;
using System.Text.Json;

namespace Fleet.Benchmarks;

/// <summary>One thing measured, against its anchor in the same run where it has one (performance.md §1.1).</summary>
internal abstract class Benchmark
{
    public abstract string Name { get; }

    public abstract string Description { get; }

    public abstract Task<BenchmarkResult> RunAsync(Action<string> progress);

    public static string Machine()
    {
        var processor = File.Exists("/proc/cpuinfo")
            ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim()
            : null;
        return $"{Environment.ProcessorCount} x {processor ?? "unknown processor"}, {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 30} GiB, .NET {Environment.Version}";
    }
}

/// <param name="Ratios">Above 1 is Fleet better.</param>
/// <param name="Figures">Absolute values of this machine and day; the unit is the end of the name.</param>
internal sealed record BenchmarkResult(string Name, IReadOnlyDictionary<string, double> Ratios, IReadOnlyDictionary<string, double> Figures)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public void Write(TextWriter output, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { Name, Ratios, Figures, Machine = Benchmark.Machine() }, Json));
            return;
        }

        output.WriteLine($"{Name} on {Benchmark.Machine()}");
        foreach (var (name, value) in Ratios) output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-32} {value:0.000} x"));
        foreach (var (name, value) in Figures) output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-32} {value:0.0}"));
    }
}
