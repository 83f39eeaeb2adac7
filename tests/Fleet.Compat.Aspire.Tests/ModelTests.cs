using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Orchestration;

namespace Fleet.Compat.Aspire.Tests;

public sealed class ModelTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly DistributedApplicationBuilder _builder;

    public ModelTests() => _builder = new DistributedApplicationBuilder(new DistributedApplicationOptions { ProjectDirectory = _folder.Path });

    [Fact]
    public void AddProject_KestrelEndpointsInItsSettings_BecomeEndpointsWithoutPorts()
    {
        File.WriteAllText(_folder.File("appsettings.json"), """
            { "Kestrel": { "Endpoints": { "Http": { "Url": "http://localhost:5101" }, "grpc": { "Url": "http://localhost:5201", "Protocols": "Http2" } } } }
            """);

        var project = _builder.AddProject("auth", "Fleet.Auth.csproj");

        var endpoints = project.Resource.Annotations.OfType<EndpointAnnotation>().OrderBy(endpoint => endpoint.Name).ToArray();
        Assert.Equal(["grpc", "http"], endpoints.Select(endpoint => endpoint.Name));
        Assert.Equal(["http2", "http"], endpoints.Select(endpoint => endpoint.Transport));
        Assert.All(endpoints, endpoint => Assert.Null(endpoint.Port));
    }

    [Theory]
    [InlineData("")]
    [InlineData("1chat")]
    [InlineData("chat-")]
    [InlineData("chat--two")]
    [InlineData("../etc")]
    [InlineData("chät")]
    public void AddParameter_NameThatIsNoResourceName_IsRefused(string name) =>
        Assert.ThrowsAny<ArgumentException>(() => _builder.AddParameter(name, "value"));

    [Fact]
    public void AddResource_NameInUseInAnotherCase_IsRefused()
    {
        _builder.AddParameter("chat", "value");

        Assert.Throws<DistributedApplicationException>(() => _builder.AddParameter("Chat", "value"));
    }

    [Fact]
    public void Dependencies_Circle_IsRefusedByName()
    {
        var first = _builder.AddExecutable("first", "true", ".");
        var second = _builder.AddExecutable("second", "true", ".").WaitFor(first);
        first.WaitFor(second);

        var refusal = Assert.Throws<DistributedApplicationException>(() => new Dependencies([.. _builder.Resources]));

        Assert.Contains("first -> second -> first", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WaitFor_Itself_IsRefused()
    {
        var only = _builder.AddExecutable("only", "true", ".");

        Assert.Throws<DistributedApplicationException>(() => only.WaitFor(only));
    }

    [Fact]
    public async Task ReferenceExpression_LiteralBracesAndHoles_AreKeptApart()
    {
        var password = _builder.AddParameter("password", "p{0}w", secret: true);

        var expression = ReferenceExpression.Create($"{{x}};Password={password};Host={"a{b}"}");

        Assert.Equal("{x};Password=p{0}w;Host=a{b}", await expression.GetValueAsync(TestContext.Current.CancellationToken));
        Assert.Equal("{x};Password={password.value};Host=a{b}", expression.ValueExpression);
    }

    [Fact]
    public async Task ConnectionString_OfADatabase_IsItsServersWithTheDatabaseAppended()
    {
        var server = _builder.AddPostgres("postgres");
        IResourceWithConnectionString database = server.AddDatabase("chatdb").Resource;

        server.Resource.Server.Set("Host=127.0.0.1;Port=1234;Password=x;");

        Assert.Equal(
            "Host=127.0.0.1;Port=1234;Password=x;Database=chatdb",
            await database.GetConnectionStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public void WithImage_TagInTheName_IsSplitOff()
    {
        var image = _builder.AddPostgres("postgres").WithImage("registry:5000/pgvector/pgvector:pg17")
            .Resource.Annotations.OfType<ContainerImageAnnotation>().Single();

        Assert.Equal(("registry:5000/pgvector/pgvector", "pg17"), (image.Image, image.Tag));
    }

    [Fact]
    public void WhatIsLeftOut_SaysSo()
    {
        var password = _builder.AddParameter("password", "x", secret: true);
        var server = _builder.AddRabbitMQ("rabbitmq");

        Assert.Throws<NotSupportedException>(() => _builder.AddPostgres("postgres", password: password));
        Assert.Throws<NotSupportedException>(() => server.WithLifetime(ContainerLifetime.Persistent));
        Assert.Throws<NotSupportedException>(() => new DistributedApplicationExecutionContext(DistributedApplicationOperation.Publish));
    }

    public void Dispose() => _folder.Dispose();
}
