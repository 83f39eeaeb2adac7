using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Tests.Measurement;

public sealed class CpuReadingTests
{
    [Fact]
    public void ParseMachine_CountsAllButIdleAndWaitingAndGuests() =>
        // user nice system idle iowait irq softirq steal guest guest_nice
        Assert.Equal(1.00 + 0.20 + 0.30 + 0.06 + 0.07 + 0.08, CpuReading.ParseMachine("cpu  100 20 30 4000 500 6 7 8 90 10"), precision: 6);

    [Fact]
    public void ParseProcess_OfANameWithSpacesAndParentheses_FindsTheTimes()
    {
        const string Stat = "42 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 150 50 30 20 15 16";

        Assert.Equal(2.0, CpuReading.ParseProcess(Stat));
        Assert.Equal(2.5, CpuReading.ParseProcess(Stat, withChildren: true));
    }

    [Fact]
    public void OtherCores_IsWhatIsNotOurs()
    {
        var before = new CpuReading(Machine: 100, Ours: 40, At: 10);

        Assert.Equal(0.5, CpuReading.OtherCores(before, new CpuReading(Machine: 104, Ours: 43, At: 12)));
    }

    [Fact]
    public void OtherCores_IsNeverNegative() =>
        // Ticks of the two files are counted apart: ours may seem to be more than all.
        Assert.Equal(0, CpuReading.OtherCores(new CpuReading(10, 5, 1), new CpuReading(12, 7.01, 2)));

    [Fact]
    public void CpuMeter_SeesThisProcessWork()
    {
        Assert.SkipUnless(File.Exists("/proc/stat"), "There is no /proc here.");
        var meter = new CpuMeter();
        var before = meter.Read();
        // Until the clock of /proc has ticked for us: what is waited for, not how long.
        while (meter.Read().Ours <= before.Ours && meter.Read().At - before.At < 30)
            _ = Math.Sqrt(before.At);

        Assert.True(meter.Read().Ours > before.Ours);
    }
}
