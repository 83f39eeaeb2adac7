namespace Fleet.Provisioning.Tests;

public sealed class FileLockTests
{
    [Fact]
    public async Task AcquireAsync_WhileHeld_WaitsAndThenGetsIt()
    {
        using var folder = new TemporaryFolder();
        var waiting = new TaskCompletionSource();
        var first = await FileLock.AcquireAsync(folder["lock"], null, CancellationToken.None);

        var second = FileLock.AcquireAsync(folder["lock"], waiting.SetResult, CancellationToken.None);
        await waiting.Task.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.False(second.IsCompleted);
        first.Dispose();

        using var held = await second.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task AcquireAsync_Cancelled_StopsWaiting()
    {
        using var folder = new TemporaryFolder();
        using var held = await FileLock.AcquireAsync(folder["lock"], null, CancellationToken.None);
        using var cancellation = new CancellationTokenSource();

        var second = FileLock.AcquireAsync(folder["lock"], cancellation.Cancel, cancellation.Token);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }
}
