using Fleet.Inference.Models;
using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Models;

public sealed class MachineMemoryTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("fleet-machine-").FullName;

    public MachineMemoryTests() => Write("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:   10000000 kB\n");

    [Fact]
    public void Read_NoControlGroup_IsTheKernels()
    {
        var state = new MachineMemory(() => [], _root).Read();

        Assert.Equal((10_000_000L * 1024, 16_000_000L * 1024), (state.AvailableBytes, state.CapacityBytes));
        Assert.Empty(state.Gpus);
    }

    [Fact]
    public void Read_LimitsOfEveryControlGroupAbove_Bound()
    {
        Write("proc/self/cgroup", "0::/fleet/inference");
        Write("sys/fs/cgroup/fleet/inference/memory.max", "max");
        Write("sys/fs/cgroup/fleet/memory.max", "4000000000");
        Write("sys/fs/cgroup/fleet/memory.current", "3000000000");
        Write("sys/fs/cgroup/fleet/memory.stat", "anon 5\ninactive_file 500000000\nactive_file 100000000\n");

        var state = new MachineMemory(() => [], _root).Read();

        // Cached files count as used but are given back before anything is refused.
        Assert.Equal((1_600_000_000L, 4_000_000_000L), (state.AvailableBytes, state.CapacityBytes));
    }

    [Fact]
    public void Read_Gpus_AreTheDevicesThatAreGpus()
    {
        var state = new MachineMemory(() => [new NativeDevice("CPU", "", 1, 2, false), new NativeDevice("CUDA0", "", 30, 40, true)], _root).Read();

        Assert.Equal([new GpuMemory("CUDA0", 30, 40)], state.Gpus);
    }

    [Fact]
    public void Read_NothingThere_IsTheRuntimes() => Assert.True(new MachineMemory(() => [], "/nowhere").Read() is { CapacityBytes: > 0, AvailableBytes: >= 0 });

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private void Write(string path, string text)
    {
        var file = Path.Combine(_root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
