// A small application host, as an author would write one.
using Microsoft.Extensions.Configuration;

var builder = DistributedApplication.CreateBuilder(args);

var database = builder.AddConnectionString("probedb");
var back = builder.AddProject<Projects.Fleet_Probe>("back")
    .WithReplicas(builder.Configuration.GetValue("Fleet:Replicas:Back", 1))
    .WithReference(database)
    .WithHttpHealthCheck("/health/ready");

builder.AddProject<Projects.Fleet_Probe>("front")
    .WithEndpoint("http", endpoint => endpoint.Port = 8080)
    .WithExternalHttpEndpoints()
    .WithReference(back).WaitFor(back)
    .WithHttpHealthCheck("/health/ready");

await builder.Build().RunAsync();
