using Fleet.Inference.Engine.Threads;
using Fleet.Testing;

namespace Fleet.Inference.Tests.Engine.Threads;

public sealed class ProcCpuReaderTests
{
    private const string Stat = """
        cpu  1318962 37321 215595 1018147 4647 0 3939 2078 0 0
        cpu0 100 10 20 5000 600 1 2 3 0 0
        cpu1 200 0 0 5000 0 0 0 0 50 0
        intr 12345 0 0
        """;

    [Fact]
    public void Busy_IsWhatTheAllowedProcessorsDid()
    {
        var bytes = System.Text.Encoding.ASCII.GetBytes(Stat);

        Assert.Equal(TimeSpan.FromSeconds(3.36), ProcCpuReader.Busy(bytes, null));
        Assert.Equal(TimeSpan.FromSeconds(1.36), ProcCpuReader.Busy(bytes, [0]));
        Assert.Null(ProcCpuReader.Busy(bytes, [7]));
        Assert.Null(ProcCpuReader.Busy("nonsense"u8, null));
    }

    [Theory]
    [InlineData("0-3,8", new[] { 0, 1, 2, 3, 8 })]
    [InlineData(" 5\n", new[] { 5 })]
    [InlineData("x-y", null)]
    [InlineData("", null)]
    public void ParseList_ReadsTheKernelsForm(string list, int[]? expected) => Assert.Equal(expected, ProcCpuReader.ParseList(list)?.Order());

    [Fact]
    public async Task Read_OnThisMachine_GoesForwardAndContainsOurOwnTime()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "There is no /proc here.");
        using var reader = new ProcCpuReader(TimeProvider.System);
        var first = reader.Read()!.Value;

        // Some of this process's time must show up in the machine's.
        var until = first.Own + TimeSpan.FromMilliseconds(60);
        await Eventually.TrueAsync(() =>
        {
            var spun = 0;
            for (var i = 0; i < 1_000_000; i++)
                spun += i;
            return spun != 1 && reader.Read()!.Value.Own > until;
        });
        var second = reader.Read()!.Value;

        Assert.True(second.At > first.At);
        Assert.True(second.Busy > first.Busy);
        Assert.InRange(reader.Cores, 0.01, Environment.ProcessorCount);
    }
}
