using Fleet.Cli.Running;

namespace Fleet.Cli.Tests.Running;

public sealed class LogTailTests
{
    [Fact]
    public void Last_GivesTheLastLines()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder["a.log"], Enumerable.Range(1, 100).Select(number => $"line {number}"));

        Assert.Equal(["line 99", "line 100"], LogTail.Last(folder["a.log"], 2));
    }

    [Fact]
    public async Task FollowAsync_WritesWhatIsAddedAlsoAfterARollOver()
    {
        using var folder = new TemporaryFolder();
        using var ending = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await File.WriteAllTextAsync(folder["a.log"], "a long first line that was there before\n", ending.Token);
        var output = new SignallingWriter();

        var following = LogTail.FollowAsync(folder["a.log"], output, ending.Token);
        await File.AppendAllTextAsync(folder["a.log"], "second\n", ending.Token);
        await output.WaitForAsync("second", ending.Token);
        await File.WriteAllTextAsync(folder["a.log"], "rolled\n", ending.Token);
        await output.WaitForAsync("rolled", ending.Token);
        await ending.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
        Assert.Equal("second\nrolled\n", output.ToString());
    }

    private sealed class SignallingWriter : StringWriter
    {
        private readonly SemaphoreSlim _written = new(0);

        public override async Task WriteAsync(string? value)
        {
            await base.WriteAsync(value);
            _written.Release();
        }

        public async Task WaitForAsync(string text, CancellationToken cancellationToken)
        {
            while (!ToString().Contains(text))
                await _written.WaitAsync(cancellationToken);
        }
    }
}
