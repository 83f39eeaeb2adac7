using System.Diagnostics;
using System.Globalization;
using Fleet.Benchmarks.Measurement;
using Fleet.Provisioning.Processes;

namespace Fleet.Benchmarks.Inference;

/// <summary>Processes that do nothing but want the processor, for a bounded time. This program is its own hog: <c>Fleet.Benchmarks hog 60</c>.</summary>
internal sealed class Hogs : IAsyncDisposable
{
    public const string Command = "hog";
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);
    private readonly List<Process> _processes = [];
    private readonly CpuMeter _meter;
    private readonly ProcessRegistry _registry;

    private Hogs(CpuMeter meter, ProcessRegistry registry)
    {
        _meter = meter;
        _registry = registry;
    }

    public static Hogs Start(int count, CpuMeter meter, ProcessRegistry registry)
    {
        var hogs = new Hogs(meter, registry);
        for (var i = 0; i < count; i++)
        {
            var start = new ProcessStartInfo("dotnet", [typeof(Hogs).Assembly.Location, Command, Longest.TotalSeconds.ToString(CultureInfo.InvariantCulture)]);
            registry.Mark(start.Environment);
            var process = Process.Start(start)!;
            hogs._processes.Add(process);
            registry.Add(Command, process.Id);
            meter.Add(process.Id);
        }

        return hogs;
    }

    public static void Run(string seconds)
    {
        var clock = Stopwatch.StartNew();
        var limit = double.Parse(seconds, CultureInfo.InvariantCulture);
        while (clock.Elapsed.TotalSeconds < limit)
        {
            // The point is to be busy.
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
        {
            process.Kill();
            await process.WaitForExitAsync();
            _registry.Remove(process.Id);
            _meter.Remove(process.Id);
            process.Dispose();
        }
    }
}
