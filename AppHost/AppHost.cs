// The fleet's topology: servers -> services -> gateway. `dotnet run --project AppHost` runs it, `./fleet up` does everything around that.
using Microsoft.Extensions.Configuration;

var builder = DistributedApplication.CreateBuilder(args);
var settings = builder.Configuration.GetSection("Fleet");
var state = settings["StateDirectory"] ?? Path.GetFullPath("../.fleet", builder.AppHostDirectory);

// --- Servers. A connection string that is configured already is used as it is, and then nothing is started for it. ---
bool IsConfigured(string name) => !string.IsNullOrEmpty(builder.Configuration.GetConnectionString(name));

var postgres = new Lazy<IResourceBuilder<PostgresServerResource>>(
    () => builder.AddPostgres("postgres").WithImage("pgvector/pgvector", "pg17").WithDataVolume());

IResourceBuilder<IResourceWithConnectionString> Database(string name) =>
    IsConfigured(name) ? builder.AddConnectionString(name) : postgres.Value.AddDatabase(name);

var authdb = Database("authdb");
var chatdb = Database("chatdb");
var knowledgedb = Database("knowledgedb");
var analyticsdb = Database("analyticsdb");
var notificationdb = Database("notificationdb");

IResourceBuilder<IResourceWithConnectionString> rabbitmq = IsConfigured("rabbitmq")
    ? builder.AddConnectionString("rabbitmq")
    : builder.AddRabbitMQ("rabbitmq").WithImage("rabbitmq", "4-management").WithDataVolume();

IResourceBuilder<IResourceWithConnectionString> redis = IsConfigured("redis")
    ? builder.AddConnectionString("redis")
    : builder.AddRedis("redis").WithImage("valkey/valkey", "8").WithDataVolume();

// --- Secrets, made once and kept with the state. ---
var serviceSecret = builder.AddParameter("service-secret", new GenerateParameterDefault { MinLength = 40, Special = false }, secret: true, persist: true);
var masterKey = builder.AddParameter("master-key", new GenerateParameterDefault { MinLength = 43, Special = false }, secret: true, persist: true);

// --- Services. WaitFor only where the service cannot do its work without the other; the rest is retried by its clients. ---
var auth = builder.AddProject<Projects.Fleet_Auth>("auth")
    .WithReference(authdb).WaitFor(authdb)
    .WithReference(rabbitmq).WaitFor(rabbitmq)
    .WithEnvironment("Auth__MasterKey", masterKey)
    .WithEnvironment("Auth__AdministratorPasswordFile", Path.Combine(state, "admin-password"));

var inference = builder.AddProject<Projects.Fleet_Inference>("inference")
    .WithReplicas(settings.GetValue("Replicas:Inference", 1))
    .WithReference(rabbitmq).WaitFor(rabbitmq)
    .WithReference(auth).WaitFor(auth)
    .WithEnvironment("Inference__ModelsDirectory", Path.Combine(state, "data", "models"))
    // System prompts that many share are not computed again after a restart.
    .WithEnvironment("Inference__PrefixDirectory", Path.Combine(state, "data", "prefixes"))
    // A crash of native code should end the process at once, not after gdb has been looked for.
    .WithEnvironment("GGML_NO_BACKTRACE", "1");

var knowledge = builder.AddProject<Projects.Fleet_Knowledge>("knowledge")
    .WithReference(knowledgedb).WaitFor(knowledgedb)
    .WithReference(rabbitmq).WaitFor(rabbitmq)
    .WithReference(inference)
    .WithReference(auth).WaitFor(auth)
    .WithEnvironment("Knowledge__StorageDirectory", Path.Combine(state, "data", "documents"));

var chat = builder.AddProject<Projects.Fleet_Chat>("chat")
    .WithReplicas(settings.GetValue("Replicas:Chat", 1))
    .WithReference(chatdb).WaitFor(chatdb)
    .WithReference(rabbitmq).WaitFor(rabbitmq)
    .WithReference(redis).WaitFor(redis)
    .WithReference(inference)
    .WithReference(knowledge)
    .WithReference(auth).WaitFor(auth);

var analytics = builder.AddProject<Projects.Fleet_Analytics>("analytics")
    .WithReference(analyticsdb).WaitFor(analyticsdb)
    .WithReference(rabbitmq).WaitFor(rabbitmq)
    .WithReference(auth).WaitFor(auth);

var notification = builder.AddProject<Projects.Fleet_Notification>("notification")
    .WithReference(notificationdb).WaitFor(notificationdb)
    .WithReference(rabbitmq).WaitFor(rabbitmq)
    .WithReference(redis).WaitFor(redis)
    .WithReference(auth).WaitFor(auth);

var web = builder.AddProject<Projects.Fleet_Web>("web");

// --- Gateway: the one address people use. ---
var gateway = builder.AddProject<Projects.Fleet_Gateway>("gateway")
    .WithEndpoint("http", endpoint =>
    {
        endpoint.Port = settings.GetValue("Port", 8080);
        endpoint.TargetHost = settings["BindAddress"] ?? "localhost";
    })
    .WithExternalHttpEndpoints()
    .WithReference(redis).WaitFor(redis)
    .WithReference(auth).WaitFor(auth)
    .WithReference(chat)
    .WithReference(inference)
    .WithReference(knowledge)
    .WithReference(analytics)
    .WithReference(notification)
    .WithReference(web)
    // What brought server-sent event streams to nginx's level: no tiered-PGO instrumentation, no spinning thread-pool workers.
    .WithEnvironment("DOTNET_TieredPGO", "0")
    .WithEnvironment("DOTNET_ThreadPool_UnfairSemaphoreSpinLimit", "0");

// Tokens name the address at which people reach the fleet, so every service expects the same issuer; each has its own client there.
foreach (var service in (IResourceBuilder<ProjectResource>[])[auth, inference, knowledge, chat, analytics, notification, web, gateway])
{
    service.WithHttpHealthCheck("/health/ready")
        .WithEnvironment("Auth__Issuer", gateway.GetEndpoint("http"))
        .WithEnvironment("Auth__ClientId", service.Resource.Name)
        .WithEnvironment("Auth__ClientSecret", serviceSecret);
}

await builder.Build().RunAsync();
