using Fleet.Inference.Scheduling;

namespace Fleet.Inference.Tests.Scheduling;

public sealed class RequestQueueTests
{
    [Fact]
    public void TryAdd_WaitingAndRunningAtTheBound_IsRefused()
    {
        var queue = new RequestQueue<string>(capacity: 2);
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd("a"));
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd("b"));
        Assert.True(queue.TryTake(out var first));

        Assert.Equal("a", first);
        Assert.Equal(AdmissionResult.QueueFull, queue.TryAdd("c"));

        queue.Release();
        Assert.Equal(AdmissionResult.Accepted, queue.TryAdd("c"));
    }

    [Fact]
    public void Close_HandsBackWhatWaitsAndRefusesMore()
    {
        var queue = new RequestQueue<string>(capacity: 2);
        queue.TryAdd("a");

        Assert.Equal(["a"], queue.Close());
        Assert.Equal(AdmissionResult.Closed, queue.TryAdd("b"));
        Assert.False(queue.TryTake(out _));
    }
}
