using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using Fleet.Provisioning.Processes;

namespace Fleet.Compat.Aspire.Tests;

public sealed class TestingBuilderTests
{
    private static readonly string[] Arguments = ["--ConnectionStrings:probedb=Host=nowhere"];

    [Fact]
    public async Task An_application_host_runs_in_a_test_beside_itself_and_leaves_nothing()
    {
        var limit = TestContext.Current.CancellationToken;
        int pid;
        string state;
        await using (var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Fleet_ProbeAppHost>([.. Arguments, "--Fleet:Replicas:Back=2"], limit))
        {
            state = builder.Configuration["Fleet:StateDirectory"]!;
            await using var app = await builder.BuildAsync(limit);
            await using var beside = await (await DistributedApplicationTestingBuilder.CreateAsync<Projects.Fleet_ProbeAppHost>(Arguments, limit)).BuildAsync(limit);
            await app.StartAsync(limit);
            await beside.StartAsync(limit);
            await app.ResourceNotifications.WaitForResourceHealthyAsync("front", limit).WaitAsync(TimeSpan.FromSeconds(60), limit);
            await beside.ResourceNotifications.WaitForResourceHealthyAsync("front", limit).WaitAsync(TimeSpan.FromSeconds(60), limit);

            using var http = app.CreateHttpClient("front", "http");
            var environment = (await http.GetFromJsonAsync<Dictionary<string, string>>("/env", limit))!;
            pid = await http.GetFromJsonAsync<int>("/pid", limit);

            Assert.NotEqual(app.GetEndpoint("front", "http"), beside.GetEndpoint("front", "http"));
            Assert.NotEqual(8080, app.GetEndpoint("front", "http").Port);
            Assert.Equal("Host=nowhere", await app.GetConnectionStringAsync("probedb", limit));
            Assert.Contains("services__back__http__1", environment.Keys);
            Assert.True(Directory.Exists(state));
        }

        Assert.Null(UnixProcess.StartTime(pid));
        Assert.False(Directory.Exists(state));
    }

    [Fact]
    public async Task The_test_may_change_the_model_before_it_is_built()
    {
        var limit = TestContext.Current.CancellationToken;
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Fleet_ProbeAppHost>(Arguments, limit);
        var back = (ProjectResource)builder.Resources.Single(resource => resource.Name == "back");
        builder.CreateResourceBuilder(back).WithAnnotation(new EnvironmentCallbackAnnotation("FROM_TEST", () => "yes"));
        await using var app = await builder.BuildAsync(limit);
        await app.StartAsync(limit);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("back", limit).WaitAsync(TimeSpan.FromSeconds(60), limit);

        using var http = app.CreateHttpClient("back");
        var environment = (await http.GetFromJsonAsync<Dictionary<string, string>>("/env", limit))!;

        Assert.Equal("yes", environment["FROM_TEST"]);
        Assert.Equal("Host=nowhere", environment["ConnectionStrings__probedb"]);
    }

    [Fact]
    public async Task A_single_resource_can_be_restarted_by_command()
    {
        var limit = TestContext.Current.CancellationToken;
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Fleet_ProbeAppHost>(Arguments, limit);
        await using var app = await builder.BuildAsync(limit);
        await app.StartAsync(limit);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("back", limit).WaitAsync(TimeSpan.FromSeconds(60), limit);
        using var http = app.CreateHttpClient("back");
        var before = await http.GetFromJsonAsync<int>("/pid", limit);

        var restarted = await app.ResourceCommands.ExecuteCommandAsync("back", KnownResourceCommands.RestartCommand, limit);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("back", limit).WaitAsync(TimeSpan.FromSeconds(60), limit);
        var unknown = await app.ResourceCommands.ExecuteCommandAsync("nobody", KnownResourceCommands.RestartCommand, limit);

        Assert.True(restarted.Success);
        Assert.NotEqual(before, await http.GetFromJsonAsync<int>("/pid", limit));
        Assert.False(unknown.Success);
    }

    [Fact]
    public async Task A_builder_that_is_never_built_leaves_nothing()
    {
        string state;
        await using (var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Fleet_ProbeAppHost>(TestContext.Current.CancellationToken))
            state = builder.Configuration["Fleet:StateDirectory"]!;

        Assert.False(Directory.Exists(state));
    }
}
