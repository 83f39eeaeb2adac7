using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

public static class PostgresBuilderExtensions
{
    public static IResourceBuilder<PostgresServerResource> AddPostgres(
        this IDistributedApplicationBuilder builder, string name, IResourceBuilder<ParameterResource>? userName = null,
        IResourceBuilder<ParameterResource>? password = null, int? port = null)
    {
        ServerParameters.Refuse(userName, password, nameof(AddPostgres));
        return builder.AddResource(new PostgresServerResource(name, null, ServerParameters.Password(name)))
            .WithAnnotation(ServerParameters.Endpoint(port));
    }

    public static IResourceBuilder<PostgresDatabaseResource> AddDatabase(
        this IResourceBuilder<PostgresServerResource> builder, string name, string? databaseName = null)
    {
        var database = new PostgresDatabaseResource(name, databaseName ?? name, builder.Resource);
        builder.Resource.AddDatabase(name, database.DatabaseName);
        return builder.ApplicationBuilder.AddResource(database);
    }

    public static IResourceBuilder<PostgresServerResource> WithDataVolume(
        this IResourceBuilder<PostgresServerResource> builder, string? name = null, bool isReadOnly = false) =>
        builder.WithAnnotation(ServerParameters.Volume(isReadOnly));
}

public static class RabbitMQBuilderExtensions
{
    public static IResourceBuilder<RabbitMQServerResource> AddRabbitMQ(
        this IDistributedApplicationBuilder builder, string name, IResourceBuilder<ParameterResource>? userName = null,
        IResourceBuilder<ParameterResource>? password = null, int? port = null)
    {
        ServerParameters.Refuse(userName, password, nameof(AddRabbitMQ));
        return builder.AddResource(new RabbitMQServerResource(name, null, ServerParameters.Password(name)))
            .WithAnnotation(ServerParameters.Endpoint(port));
    }

    public static IResourceBuilder<RabbitMQServerResource> WithDataVolume(
        this IResourceBuilder<RabbitMQServerResource> builder, string? name = null, bool isReadOnly = false) =>
        builder.WithAnnotation(ServerParameters.Volume(isReadOnly));
}

public static class RedisBuilderExtensions
{
    public static IResourceBuilder<RedisResource> AddRedis(this IDistributedApplicationBuilder builder, string name, int? port) =>
        builder.AddRedis(name, port, null);

    public static IResourceBuilder<RedisResource> AddRedis(
        this IDistributedApplicationBuilder builder, string name, int? port = null, IResourceBuilder<ParameterResource>? password = null)
    {
        ServerParameters.Refuse(null, password, nameof(AddRedis));
        return builder.AddResource(new RedisResource(name)).WithAnnotation(ServerParameters.Endpoint(port));
    }

    public static IResourceBuilder<RedisResource> WithDataVolume(
        this IResourceBuilder<RedisResource> builder, string? name = null, bool isReadOnly = false) =>
        builder.WithAnnotation(ServerParameters.Volume(isReadOnly));
}

public static class ContainerResourceBuilderExtensions
{
    /// <summary>Records the image a container engine would run; the local server is found by Fleet.Provisioning.</summary>
    public static IResourceBuilder<T> WithImage<T>(this IResourceBuilder<T> builder, string image, string? tag = null) where T : ContainerResource
    {
        var colon = image.LastIndexOf(':');
        var (name, inlineTag) = colon > image.LastIndexOf('/') ? (image[..colon], image[(colon + 1)..]) : (image, null);
        return builder.WithAnnotation(new ContainerImageAnnotation { Image = name, Tag = tag ?? inlineTag ?? "latest" }, ResourceAnnotationMutationBehavior.Replace);
    }

    public static IResourceBuilder<T> WithImageTag<T>(this IResourceBuilder<T> builder, string tag) where T : ContainerResource
    {
        var image = builder.Resource.Annotations.OfType<ContainerImageAnnotation>().LastOrDefault()
            ?? throw new InvalidOperationException($"The resource '{builder.Resource.Name}' does not have a container image specified.");
        image.Tag = tag;
        return builder;
    }

    public static IResourceBuilder<T> WithImageRegistry<T>(this IResourceBuilder<T> builder, string? registry) where T : ContainerResource
    {
        var image = builder.Resource.Annotations.OfType<ContainerImageAnnotation>().LastOrDefault()
            ?? throw new InvalidOperationException($"The resource '{builder.Resource.Name}' does not have a container image specified.");
        image.Registry = registry;
        return builder;
    }

    public static IResourceBuilder<T> WithLifetime<T>(this IResourceBuilder<T> builder, ContainerLifetime lifetime) where T : ContainerResource =>
        lifetime == ContainerLifetime.Session
            ? builder.WithAnnotation(new ContainerLifetimeAnnotation { Lifetime = lifetime }, ResourceAnnotationMutationBehavior.Replace)
            : throw new NotSupportedException("ContainerLifetime.Persistent: local servers end with the application host, their data stays");
}

internal static class ServerParameters
{
    // Local servers make and keep their own credentials under the state directory.
    public static ParameterResource Password(string serverName) =>
        new($"{serverName}-password", () => throw new NotSupportedException("PasswordParameter: use the connection string"), secret: true);

    public static EndpointAnnotation Endpoint(int? port) => new(ProtocolType.Tcp, name: "tcp", port: port);

    public static DataVolumeAnnotation Volume(bool isReadOnly) =>
        isReadOnly ? throw new NotSupportedException("WithDataVolume(isReadOnly: true)") : new DataVolumeAnnotation();

    public static void Refuse(object? userName, object? password, string method)
    {
        if (userName is not null || password is not null)
            throw new NotSupportedException($"{method} with userName or password: local servers make their own credentials");
    }
}
