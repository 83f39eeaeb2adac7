using System.Reflection;

namespace Aspire.Hosting;

/// <summary>
/// Lets a testing builder run an application host's entry point and step in where it builds and runs. It flows with the execution context,
/// so the entry point sees it without taking part.
/// </summary>
internal sealed class AppHostInterceptor(Assembly appHostAssembly, string[] arguments)
{
    private static readonly AsyncLocal<AppHostInterceptor?> Ambient = new();
    private readonly TaskCompletionSource<DistributedApplicationBuilder> _building = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _buildAllowed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<DistributedApplication> _built = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static AppHostInterceptor? Current
    {
        get => Ambient.Value;
        set => Ambient.Value = value;
    }

    public Assembly AppHostAssembly { get; } = appHostAssembly;

    public string[] Arguments { get; } = arguments;

    public Task<DistributedApplicationBuilder> WhenBuilding => _building.Task;

    public Task<DistributedApplication> WhenBuilt => _built.Task;

    public Task WhenFinished => _finished.Task;

    public void AllowBuild() => _buildAllowed.TrySetResult();

    public void Finish() => _finished.TrySetResult();

    /// <summary>Ends an entry point whose builder nobody is going to build.</summary>
    public void Abandon() => _buildAllowed.TrySetException(new OperationCanceledException("The testing builder was disposed of unbuilt."));

    public void Fail(Exception exception)
    {
        _building.TrySetException(exception);
        _built.TrySetException(exception);
    }

    /// <summary>Called on the entry point's thread, which stands still here while the test changes the builder.</summary>
    public void OnBuilding(DistributedApplicationBuilder builder)
    {
        _building.TrySetResult(builder);
        _buildAllowed.Task.GetAwaiter().GetResult();
    }

    public void OnBuilt(DistributedApplication application) => _built.TrySetResult(application);
}
