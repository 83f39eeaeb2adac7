namespace Aspire.Hosting.ApplicationModel;

public class PostgresServerResource(string name, ParameterResource? userName, ParameterResource password)
    : ContainerResource(name), IResourceWithConnectionString
{
    private readonly Dictionary<string, string> _databases = [];

    public ParameterResource? UserNameParameter { get; set; } = userName;

    public ParameterResource PasswordParameter { get; set; } = password;

    public EndpointReference PrimaryEndpoint => new(this, "tcp");

    /// <summary>Resource names and the database each stands for.</summary>
    public IReadOnlyDictionary<string, string> Databases => _databases;

    public ReferenceExpression ConnectionStringExpression => ReferenceExpression.Create($"{Server}");

    internal ServerConnection Server { get; } = new(name);

    internal void AddDatabase(string resourceName, string databaseName) => _databases.Add(resourceName, databaseName);
}

public class PostgresDatabaseResource(string name, string databaseName, PostgresServerResource postgresParentResource)
    : Resource(name), IResourceWithParent<PostgresServerResource>, IResourceWithConnectionString, IResourceWithWaitSupport
{
    public string DatabaseName { get; } = databaseName;

    public PostgresServerResource Parent { get; } = postgresParentResource;

    public ReferenceExpression ConnectionStringExpression => ReferenceExpression.Create($"{Parent.Server};Database={DatabaseName}");
}

public class RabbitMQServerResource(string name, ParameterResource? userName, ParameterResource password)
    : ContainerResource(name), IResourceWithConnectionString
{
    public ParameterResource? UserNameParameter { get; } = userName;

    public ParameterResource PasswordParameter { get; } = password;

    public EndpointReference PrimaryEndpoint => new(this, "tcp");

    public ReferenceExpression ConnectionStringExpression => ReferenceExpression.Create($"{Server}");

    internal ServerConnection Server { get; } = new(name);
}

public class RedisResource(string name) : ContainerResource(name), IResourceWithConnectionString
{
    public RedisResource(string name, ParameterResource password) : this(name) => PasswordParameter = password;

    public ParameterResource? PasswordParameter { get; }

    public EndpointReference PrimaryEndpoint => new(this, "tcp");

    public ReferenceExpression ConnectionStringExpression => ReferenceExpression.Create($"{Server}");

    internal ServerConnection Server { get; } = new(name);
}

/// <summary>A server's connection string, known once it has been decided which installation runs it and on which port.</summary>
internal sealed class ServerConnection(string resourceName) : IValueProvider, IManifestExpressionProvider
{
    private readonly TaskCompletionSource<string> _value = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string ValueExpression => $"{{{resourceName}.connectionString}}";

    public void Set(string connectionString) => _value.TrySetResult(connectionString.TrimEnd(';'));

    public async ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        await _value.Task.WaitAsync(cancellationToken);
}
