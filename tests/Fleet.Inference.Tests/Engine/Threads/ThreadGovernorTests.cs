using Fleet.Inference.Engine.Threads;
using Fleet.Testing;

namespace Fleet.Inference.Tests.Engine.Threads;

public sealed class ThreadGovernorTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    private readonly ManualTimeProvider _time = new(DateTimeOffset.UnixEpoch);
    private readonly Machine _machine;

    public ThreadGovernorTests() => _machine = new Machine(_time);

    [Fact]
    public void Quiet_KeepsAllThreads()
    {
        var governor = Governor(2);

        Run(governor, seconds: 5);

        Assert.Equal(2, governor.Threads);
    }

    [Fact]
    public void Hog_TakesAThreadWithinHalfASecond_AndGivesItBackAfterASecondOfQuiet()
    {
        var governor = Governor(2);
        Run(governor, seconds: 1);

        _machine.Others = 0.67;
        Run(governor, seconds: 0.5);
        Assert.Equal(1, governor.Threads);

        // Beside one thread the same process has a core of its own.
        _machine.Others = 1;
        Run(governor, seconds: 10);
        Assert.Equal(1, governor.Threads);

        _machine.Others = 0;
        Run(governor, seconds: 0.9);
        Assert.Equal(1, governor.Threads);
        Run(governor, seconds: 1);
        Assert.Equal(2, governor.Threads);
    }

    [Fact]
    public void SmallDisturbance_ChangesNothing()
    {
        var governor = Governor(2);

        _machine.Others = 0.2;
        Run(governor, seconds: 5);

        Assert.Equal(2, governor.Threads);
    }

    [Fact]
    public void TwoSlowSteps_TakeThreadsAtOnce_OneDoesNot()
    {
        var governor = Governor(8, cores: 8);
        governor.Next();

        governor.Stepped(TimeSpan.FromMilliseconds(70), Step);
        Assert.Equal(8, governor.Threads);
        governor.Stepped(TimeSpan.FromMilliseconds(90), Step);
        governor.Stepped(Step, Step);
        governor.Stepped(TimeSpan.FromMilliseconds(90), Step);
        Assert.Equal(8, governor.Threads);
        governor.Stepped(TimeSpan.FromMilliseconds(90), Step);
        Assert.Equal(4, governor.Threads);
        governor.Aborted();
        Assert.Equal(1, governor.Threads);
    }

    [Fact]
    public void FirstSteps_OfWhichNothingIsExpected_AreNeverSlow()
    {
        var governor = Governor(2);

        governor.Stepped(TimeSpan.FromSeconds(10), expected: null);

        Assert.Equal(2, governor.Threads);
        Assert.Equal(Timeout.InfiniteTimeSpan, governor.Limit(null));
    }

    [Fact]
    public void GoingUpThatWasAMistake_WaitsLongerEachTime()
    {
        var governor = Governor(2);
        governor.Next();
        var waits = new List<double>();

        for (var i = 0; i < 4; i++)
        {
            Contend(governor);
            var waited = 0d;
            for (; governor.Threads == 1; waited += 0.02)
                Run(governor, seconds: 0.02);
            waits.Add(waited);
        }

        Assert.InRange(waits[0], 0.9, 1.3);
        Assert.InRange(waits[3], 3, 10);
        Assert.Equal(waits.Order(), waits);
    }

    [Fact]
    public void LongQuiet_ForgivesEarlierMistakes()
    {
        var governor = Governor(2);
        governor.Next();
        for (var i = 0; i < 3; i++)
        {
            Contend(governor);
            while (governor.Threads == 1)
                Run(governor, seconds: 0.02);
        }

        Run(governor, seconds: 35);
        Contend(governor);
        Run(governor, seconds: 1.2);

        Assert.Equal(2, governor.Threads);
    }

    [Theory]
    [InlineData(8, 0, 8)]
    [InlineData(8, 1.0, 7)]
    [InlineData(8, 3.3, 5)]
    [InlineData(8, 30, 1)]
    [InlineData(2.5, 0, 2)]
    [InlineData(1.5, 0, 1)]
    public void Threads_FollowWhatOthersLeave(double cores, double others, int expected)
    {
        var governor = Governor(most: 64, cores);

        _machine.Others = others;
        Run(governor, seconds: 1);

        Assert.Equal(expected, governor.Threads);
    }

    [Fact]
    public void CoresBeyondTheConfiguredThreads_AreLeftToOthers()
    {
        var governor = Governor(most: 4, cores: 8);

        _machine.Others = 3.5;
        Run(governor, seconds: 3);

        Assert.Equal(4, governor.Threads);
    }

    [Fact]
    public void OtherEngineOfTheProcess_CountsLikeAnotherProcess()
    {
        var governor = Governor(2);

        Assert.Equal(1, governor.Next(othersHere: 1));
    }

    [Fact]
    public void NothingToRead_FollowsStepTimesAlone()
    {
        _machine.Readable = false;
        var governor = Governor(2);
        Run(governor, seconds: 1);
        Assert.Equal(2, governor.Threads);

        Contend(governor);
        Assert.Equal(1, governor.Threads);
        Run(governor, seconds: 2);
        Assert.Equal(2, governor.Threads);
    }

    [Fact]
    public void Limit_IsAFewTimesTheExpected_AndNoneForOneThread()
    {
        var governor = Governor(2);

        Assert.InRange(governor.Limit(Step), Step * 3, TimeSpan.FromSeconds(1));
        governor.Aborted();
        Assert.Equal(Timeout.InfiniteTimeSpan, governor.Limit(Step));
    }

    private ThreadGovernor Governor(int most, double cores = 2)
    {
        _machine.Cores = cores;
        return new ThreadGovernor(_machine, most, _time);
    }

    private void Run(ThreadGovernor governor, double seconds)
    {
        for (var left = TimeSpan.FromSeconds(seconds); left > TimeSpan.Zero; left -= Step)
        {
            _machine.Pass(Step, governor.Next());
            governor.Stepped(Step, Step);
        }
    }

    private static void Contend(ThreadGovernor governor)
    {
        governor.Stepped(TimeSpan.FromSeconds(1), Step);
        governor.Stepped(TimeSpan.FromSeconds(1), Step);
    }

    private sealed class Machine(ManualTimeProvider time) : ICpuReader
    {
        private readonly DateTimeOffset _start = time.GetUtcNow();
        private TimeSpan _busy = TimeSpan.FromHours(100);
        private TimeSpan _own = TimeSpan.FromHours(1);

        public double Cores { get; set; } = 2;

        /// <summary>Cores other processes use.</summary>
        public double Others { get; set; }

        public bool Readable { get; set; } = true;

        public CpuReading? Read() => Readable ? new CpuReading(time.GetUtcNow() - _start, _busy, _own) : null;

        public void Pass(TimeSpan span, int threads)
        {
            time.Advance(span);
            _busy += span * (Others + threads);
            _own += span * threads;
        }
    }
}
