using System.Diagnostics;

namespace Fleet.Benchmarks.Measurement;

/// <summary>Reads who uses the processors. Ours are this process, its ended children, and the processes it was told of.</summary>
internal sealed class CpuMeter
{
    private readonly HashSet<int> _processes = [];

    public void Add(int process) => _processes.Add(process);

    public void Remove(int process) => _processes.Remove(process);

    public CpuReading Read() => new(
        CpuReading.ParseMachine(File.ReadLines("/proc/stat").First()),
        CpuReading.ParseProcess(File.ReadAllText("/proc/self/stat"), withChildren: true) + _processes.Sum(Used),
        Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency);

    private static double Used(int process)
    {
        try
        {
            return CpuReading.ParseProcess(File.ReadAllText($"/proc/{process}/stat"));
        }
        catch (IOException)
        {
            // Ended: its time is among this process's children now.
            return 0;
        }
    }
}
