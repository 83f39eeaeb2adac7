using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Fleet.Provisioning.Processes;
using Fleet.Testing;

namespace Fleet.Compat.Aspire.Tests;

public sealed class OrchestrationTests
{
    [Fact]
    public async Task A_resource_starts_only_when_what_it_waits_for_is_healthy()
    {
        await using var fleet = new ProbeFleet();
        var first = fleet.AddProbe("first").WithEnvironment("PROBE_GATE", fleet.Gate("first"));
        fleet.AddProbe("second").WaitFor(first);
        await fleet.StartAsync();

        await Eventually.TrueAsync(() => fleet.ReadJournal().Contains("first started"));
        var whileUnready = fleet.Snapshot("second").State?.Text;
        fleet.OpenGate("first");
        await fleet.HealthyAsync("second");

        Assert.Equal(KnownResourceStates.Waiting, whileUnready);
        Assert.Equal(["first started", "second started"], fleet.ReadJournal());
    }

    [Fact]
    public async Task A_process_is_told_its_addresses_its_references_and_who_it_is()
    {
        await using var fleet = new ProbeFleet();
        var value = fleet.Builder.AddParameter("value", "secret", secret: true);
        var back = fleet.AddProbe("back").WithReplicas(2);
        fleet.AddProbe("front").WithReference(back).WithReference("outside", new Uri("http://localhost:9"))
            .WithEnvironment("FROM_PARAMETER", value)
            .WithEnvironment("FROM_ENDPOINT", back.GetEndpoint("grpc"))
            .WithEnvironment("FROM_TEXT", $"<{value}>")
            .WithEnvironment(context => context.EnvironmentVariables["FROM_CALLBACK"] = context.Resource.Name);
        await fleet.StartAsync();
        await fleet.HealthyAsync("front");
        await fleet.HealthyAsync("back");

        var environment = await fleet.GetAsync<Dictionary<string, string>>("front", "/env");

        foreach (var (index, id) in new[] { "back-0", "back-1" }.Index())
        {
            Assert.Equal(fleet.Address(id).OriginalString, environment[$"services__back__http__{index}"]);
            Assert.Equal(fleet.Address(id, "grpc").OriginalString, environment[$"services__back__grpc__{index}"]);
            Assert.Equal(fleet.ProcessId(id), await fleet.GetAsync<int>(id, "/pid"));
        }

        Assert.Equal(fleet.Address("front").OriginalString, environment["Kestrel__Endpoints__http__Url"]);
        Assert.Equal("http://localhost:9/", environment["services__outside__default__0"]);
        Assert.Equal("front", environment["OTEL_SERVICE_NAME"]);
        Assert.EndsWith("service.instance.id=front", environment["OTEL_RESOURCE_ATTRIBUTES"], StringComparison.Ordinal);
        Assert.Equal("secret", environment["FROM_PARAMETER"]);
        Assert.Equal("<secret>", environment["FROM_TEXT"]);
        Assert.Equal(fleet.Address("back-0", "grpc").OriginalString, environment["FROM_ENDPOINT"]);
        Assert.Equal("front", environment["FROM_CALLBACK"]);
        Assert.NotEqual(fleet.Address("back-0"), fleet.Address("back-1"));
    }

    [Fact]
    public async Task The_hosts_own_connection_strings_do_not_leak_into_its_children()
    {
        const string Variable = "ConnectionStrings__leak_probe";
        Environment.SetEnvironmentVariable(Variable, "secret");
        try
        {
            await using var fleet = new ProbeFleet();
            fleet.AddProbe("only");
            await fleet.StartAsync();
            await fleet.HealthyAsync("only");

            var environment = await fleet.GetAsync<Dictionary<string, string>>("only", "/env");

            Assert.DoesNotContain(Variable, environment.Keys);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Variable, null);
        }
    }

    [Fact]
    public async Task A_killed_process_is_back_on_the_same_port()
    {
        await using var fleet = new ProbeFleet();
        fleet.AddProbe("only");
        await fleet.StartAsync();
        await fleet.HealthyAsync("only");
        var (address, pid) = (fleet.Address("only"), fleet.ProcessId("only"));

        UnixProcess.Signal(pid, UnixProcess.SigKill);
        await fleet.Notifications.WaitForResourceAsync("only", KnownResourceStates.Exited, TestContext.Current.CancellationToken);
        await fleet.HealthyAsync("only");

        Assert.Equal(address, fleet.Address("only"));
        var newPid = await fleet.GetAsync<int>("only", "/pid");
        Assert.NotEqual(pid, newPid);
        Assert.Equal(newPid, fleet.ProcessId("only"));
        Assert.Equal(1, fleet.Snapshot("only").Properties.Single(property => property.Name == "resource.restarts").Value);
    }

    [Fact]
    public async Task Stopping_goes_in_reverse_order_and_lets_processes_finish()
    {
        await using var fleet = new ProbeFleet();
        var first = fleet.AddProbe("first");
        var second = fleet.AddProbe("second").WaitFor(first);
        fleet.AddProbe("third").WaitFor(second);
        await fleet.StartAsync();
        await fleet.HealthyAsync("third");

        await fleet.StopAsync();

        Assert.Equal(["third stopped", "second stopped", "first stopped"], fleet.ReadJournal().Skip(3));
    }

    [Fact]
    public async Task The_children_of_a_process_that_died_are_ended_too()
    {
        await using var fleet = new ProbeFleet();
        fleet.Builder.AddExecutable("parent", "sh", ".", "-c", "sleep 1000 & echo $! > \"$CHILD\"; while true; do sleep 1000; done")
            .WithEnvironment("CHILD", fleet.Gate("child"));
        await fleet.StartAsync();
        await Eventually.TrueAsync(() => File.Exists(fleet.Gate("child")) && File.ReadAllText(fleet.Gate("child")).Length > 0);
        var child = int.Parse(File.ReadAllText(fleet.Gate("child")), System.Globalization.CultureInfo.InvariantCulture);
        var pid = fleet.ProcessId("parent");

        UnixProcess.Signal(pid, UnixProcess.SigKill);

        await Eventually.TrueAsync(() => UnixProcess.StartTime(child) is null, "the child outlived its parent");
    }

    [Fact]
    public async Task A_command_that_ends_well_lets_those_go_on_that_wait_for_its_completion()
    {
        await using var fleet = new ProbeFleet();
        var job = fleet.Builder.AddExecutable("job", "sh", ".", "-c", "exit 0");
        var wrong = fleet.Builder.AddExecutable("wrong", "sh", ".", "-c", "exit 3");
        fleet.AddProbe("after").WaitForCompletion(job);
        fleet.AddProbe("never").WaitForCompletion(wrong);
        await fleet.StartAsync();

        await fleet.HealthyAsync("after");

        Assert.Equal(KnownResourceStates.Finished, fleet.Snapshot("job").State?.Text);
        Assert.Equal(KnownResourceStates.Waiting, fleet.Snapshot("never").State?.Text);
        await fleet.Notifications.WaitForResourceAsync("wrong", update => update.Snapshot.ExitCode == 3, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task What_a_killed_host_left_behind_is_ended_by_the_next_one()
    {
        using var folder = new TestFolder();
        int pid;
        await using (var before = new ProbeFleet(folder))
        {
            // Not supervised by anything: what remains of a host that was killed.
            before.Paths.CreateDirectories();
            var registry = new ProcessRegistry(before.Paths.ProcessesFile);
            var orphan = System.Diagnostics.Process.Start("setsid", ["sleep", "1000"])!;
            registry.Add("orphan", orphan.Id);
            pid = orphan.Id;
        }

        await using var fleet = new ProbeFleet(folder);
        await fleet.StartAsync();

        Assert.Null(UnixProcess.StartTime(pid));
    }

    [Fact]
    public async Task A_second_host_on_the_same_state_is_refused_until_the_first_has_ended()
    {
        using var folder = new TestFolder();
        await using var first = new ProbeFleet(folder);
        await first.StartAsync();

        await using (var second = new ProbeFleet(folder))
        {
            var refusal = await Assert.ThrowsAsync<DistributedApplicationException>(second.StartAsync);
            Assert.Contains(Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture), refusal.Message, StringComparison.Ordinal);
        }

        await first.StopAsync();
        await using var third = new ProbeFleet(folder);
        await third.StartAsync();
    }

    [Fact]
    public async Task The_state_file_tells_what_runs_where_and_in_the_end_that_nothing_does()
    {
        await using var fleet = new ProbeFleet();
        fleet.AddProbe("only");
        await fleet.StartAsync();
        await fleet.HealthyAsync("only");

        await Eventually.TrueAsync(() => ReadState(fleet).GetProperty("resources")[0].GetProperty("state").GetString() == "Ready");
        var running = ReadState(fleet).GetProperty("resources")[0];
        var endpoints = JsonDocument.Parse(File.ReadAllText(fleet.Paths.EndpointsFile)).RootElement;
        await fleet.StopAsync();

        Assert.Equal(("only", "project", "Healthy"), (Text(running, "name"), Text(running, "kind"), Text(running, "health")));
        Assert.Equal(fleet.Paths.LogFile("only"), Text(running, "logFile"));
        Assert.Equal(running.GetProperty("endpoints").GetProperty("http").GetString(), endpoints.GetProperty("only").GetProperty("http").GetString());
        Assert.Equal("Stopped", Text(ReadState(fleet).GetProperty("resources")[0], "state"));
    }

    [Fact]
    public async Task A_project_that_is_not_built_fails_with_a_sentence()
    {
        await using var fleet = new ProbeFleet();
        fleet.Builder.AddProject("missing", fleet.Paths.Root + "/Fleet.Missing.csproj");
        await fleet.StartAsync();

        await fleet.Notifications.WaitForResourceAsync("missing", KnownResourceStates.FailedToStart, TestContext.Current.CancellationToken);

        await Eventually.TrueAsync(() => Text(ReadState(fleet).GetProperty("resources")[0], "detail")?.Contains("is not built", StringComparison.Ordinal) == true);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_named_before_anything_starts()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        await using var fleet = new ProbeFleet();
        fleet.Builder.Configuration["Fleet:AnyPort"] = "false";
        fleet.AddProbe("only").WithEndpoint("http", endpoint => endpoint.Port = port);

        var refusal = await Assert.ThrowsAsync<DistributedApplicationException>(fleet.StartAsync);

        Assert.Contains($"Port {port}", refusal.Message, StringComparison.Ordinal);
    }

    private static JsonElement ReadState(ProbeFleet fleet) => File.Exists(fleet.Paths.StateFile)
        ? JsonDocument.Parse(File.ReadAllText(fleet.Paths.StateFile)).RootElement
        : JsonDocument.Parse("""{"resources":[{"state":null}]}""").RootElement;

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() : null;
}
