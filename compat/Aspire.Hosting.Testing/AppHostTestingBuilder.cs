using System.Reflection;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Testing;

/// <summary>Runs the application host's entry point on a thread of its own and stands where it calls <c>Build()</c>.</summary>
internal sealed class AppHostTestingBuilder : IDistributedApplicationTestingBuilder
{
    private readonly AppHostInterceptor _interceptor;
    private readonly DistributedApplicationBuilder _builder;
    private readonly string _stateDirectory;
    private readonly Task _entryPoint;

    private AppHostTestingBuilder(AppHostInterceptor interceptor, DistributedApplicationBuilder builder, string stateDirectory, Task entryPoint)
    {
        (_interceptor, _builder, _stateDirectory, _entryPoint) = (interceptor, builder, stateDirectory, entryPoint);
        // Disposed with the application, whichever way the test ends.
        builder.Services.AddSingleton(_ => new Cleanup(interceptor, stateDirectory));
    }

    public Assembly? AppHostAssembly => _builder.AppHostAssembly;

    public string AppHostDirectory => _builder.AppHostDirectory;

    public ConfigurationManager Configuration => _builder.Configuration;

    public IHostEnvironment Environment => _builder.Environment;

    public DistributedApplicationExecutionContext ExecutionContext => _builder.ExecutionContext;

    public IResourceCollection Resources => _builder.Resources;

    public IServiceCollection Services => _builder.Services;

    public static async Task<AppHostTestingBuilder> CreateAsync(Type entryPoint, string[] args, CancellationToken cancellationToken)
    {
        var assembly = entryPoint.Assembly;
        var directory = assembly.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(attribute => attribute.Key == "apphostprojectpath")?.Value
            ?? throw new DistributedApplicationException($"{assembly.GetName().Name} is not an application host.");
        await TestStateDirectory.RemoveAbandonedAsync(directory, cancellationToken);

        var state = TestStateDirectory.Create(directory);
        // The test's own arguments come last and win.
        string[] arguments =
        [
            $"--Fleet:StateDirectory={state}", "--Fleet:AnyPort=true", "--Fleet:DurableServers=false", "--Fleet:ShowStatus=false", .. args,
        ];
        var interceptor = new AppHostInterceptor(assembly, arguments);
        var running = RunEntryPoint(assembly, interceptor);
        try
        {
            var builder = await interceptor.WhenBuilding.WaitAsync(cancellationToken);
            return new AppHostTestingBuilder(interceptor, builder, state, running);
        }
        catch
        {
            TestStateDirectory.Delete(state);
            throw;
        }
    }

    public IResourceBuilder<T> AddResource<T>(T resource) where T : IResource => _builder.AddResource(resource);

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource) where T : IResource => _builder.CreateResourceBuilder(resource);

    public DistributedApplication Build() => BuildAsync().GetAwaiter().GetResult();

    public async Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default)
    {
        _interceptor.AllowBuild();
        var application = await _interceptor.WhenBuilt.WaitAsync(cancellationToken);
        // Made here so that the container disposes it.
        application.Services.GetRequiredService<Cleanup>();
        return application;
    }

    public void Dispose() => Abandon();

    public ValueTask DisposeAsync()
    {
        Abandon();
        return ValueTask.CompletedTask;
    }

    // Built applications clean up themselves; a builder that was never built leaves its folder and its waiting thread.
    private void Abandon()
    {
        if (_interceptor.WhenBuilt.IsCompleted)
            return;
        _interceptor.Abandon();
        TestStateDirectory.Delete(_stateDirectory);
    }

    private static Task RunEntryPoint(Assembly assembly, AppHostInterceptor interceptor)
    {
        var main = assembly.EntryPoint ?? throw new DistributedApplicationException($"{assembly.GetName().Name} has no entry point.");
        // A thread of its own: it stands still while the test looks at the builder.
        return Task.Factory.StartNew(
            async () =>
            {
                AppHostInterceptor.Current = interceptor;
                try
                {
                    var result = main.Invoke(null, main.GetParameters().Length == 0 ? [] : [Array.Empty<string>()]);
                    if (result is Task task)
                        await task;
                    interceptor.Fail(new DistributedApplicationException("The application host ended without building its application."));
                }
                catch (Exception exception)
                {
                    interceptor.Fail((exception as TargetInvocationException)?.InnerException ?? exception);
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap();
    }

    private sealed class Cleanup(AppHostInterceptor interceptor, string stateDirectory) : IDisposable
    {
        public void Dispose()
        {
            interceptor.Finish();
            TestStateDirectory.Delete(stateDirectory);
        }
    }
}
