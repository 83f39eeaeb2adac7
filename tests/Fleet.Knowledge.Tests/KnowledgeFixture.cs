using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Fleet.Knowledge.Collections;
using Fleet.Knowledge.Documents;
using Fleet.Knowledge.Retrieval;
using Fleet.Testing;
using Grpc.Core;
using Grpc.Net.Client;
using Contract = Fleet.Contracts.Knowledge.V1;

[assembly: AssemblyFixture(typeof(Fleet.Knowledge.Tests.KnowledgeFixture))]

namespace Fleet.Knowledge.Tests;

/// <summary>The real service with PostgreSQL and RabbitMQ; only inference is a stand-in.</summary>
public sealed class KnowledgeFixture : IAsyncLifetime
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) } };

    private readonly FakeFleet _fleet = new();

    public TestDatabase Database => _fleet.Database;

    public TestTokens Tokens => _fleet.Tokens;

    public ServiceFactory<SearchRequest> Service => _fleet.Service;

    public string StorageDirectory => _fleet.StorageDirectory;

    public ValueTask InitializeAsync() => _fleet.StartAsync(new Dictionary<string, string?>());

    internal FakeInference Inference => _fleet.Inference;

    public HttpClient ClientFor(Guid userId) => _fleet.ClientFor(userId);

    internal Contract.Knowledge.KnowledgeClient GrpcFor(string? token, out GrpcChannel channel, out Metadata headers)
    {
        channel = GrpcChannel.ForAddress(Service.GrpcAddress);
        headers = [];
        if (token is not null)
            headers.Add("authorization", "Bearer " + token);

        return new Contract.Knowledge.KnowledgeClient(channel);
    }

    public ValueTask DisposeAsync() => _fleet.DisposeAsync();
}

/// <summary>One running service with everything it needs; tests of crashes start their own.</summary>
internal sealed class FakeFleet : IAsyncDisposable
{
    private bool _ownsDatabase = true;

    public TestDatabase Database { get; private set; } = null!;

    public TestTokens Tokens { get; private set; } = null!;

    public FakeInference Inference { get; private set; } = null!;

    public ServiceFactory<SearchRequest> Service { get; private set; } = null!;

    public string StorageDirectory { get; private set; } = Directory.CreateTempSubdirectory("fleet-knowledge-").FullName;

    /// <summary>Another replica on the same database and files.</summary>
    public FakeFleet Beside(FakeFleet other)
    {
        Directory.Delete(StorageDirectory);
        _ownsDatabase = false;
        (Database, StorageDirectory) = (other.Database, other.StorageDirectory);
        return this;
    }

    public async ValueTask StartAsync(Dictionary<string, string?> settings)
    {
        Database ??= await TestDatabase.CreateAsync();
        Tokens = await TestTokens.StartAsync();
        Inference = await FakeInference.StartAsync();
        var configuration = new Dictionary<string, string?>(Tokens.Configuration)
        {
            ["ConnectionStrings:knowledgedb"] = Database.ConnectionString,
            ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
            ["Messaging:Prefix"] = BackingServers.NewPrefix(),
            ["services:inference:grpc:0"] = Inference.Address,
            ["Knowledge:StorageDirectory"] = StorageDirectory,
            ["Knowledge:MaxUploadBytes"] = "3000000",
            ["Knowledge:Ingestion:PollInterval"] = "00:00:00.100",
            ["Knowledge:Ingestion:RetryDelay"] = "00:00:00.050",
        };
        foreach (var (key, value) in settings)
            configuration[key] = value;

        Service = await ServiceFactory<SearchRequest>.StartAsync(configuration, grpc: true);
    }

    public HttpClient ClientFor(Guid userId) => Service.CreateClient(Tokens.Issue(userId));

    public async ValueTask DisposeAsync()
    {
        await Service.DisposeAsync();
        await Inference.DisposeAsync();
        await Tokens.DisposeAsync();
        if (!_ownsDatabase)
            return;

        await Database.DisposeAsync();
        Directory.Delete(StorageDirectory, recursive: true);
    }
}

internal static class KnowledgeClientExtensions
{
    public static async Task<Guid> CreateCollectionAsync(this HttpClient client, string name = "Docs")
    {
        using var response = await client.PostAsJsonAsync("/api/collections", new { name });
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<Collection>(KnowledgeFixture.Json))!.Id;
    }

    public static Task<HttpResponseMessage> UploadAsync(this HttpClient client, Guid collection, string name, string text) =>
        client.UploadAsync(collection, name, Encoding.UTF8.GetBytes(text));

    public static async Task<HttpResponseMessage> UploadAsync(this HttpClient client, Guid collection, string name, byte[] content, string field = "file")
    {
        using var file = new ByteArrayContent(content);
        file.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var form = new MultipartFormDataContent { { file, field, name } };
        return await client.PostAsync($"/api/collections/{collection}/documents", form);
    }

    public static async Task<Document> AddAsync(this HttpClient client, Guid collection, string name, string text)
    {
        using var response = await client.UploadAsync(collection, name, text);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<Document>(KnowledgeFixture.Json))!;
    }

    public static async Task<Document> GetDocumentAsync(this HttpClient client, Guid id) =>
        (await client.GetFromJsonAsync<Document>($"/api/documents/{id}", KnowledgeFixture.Json))!;

    public static Task<Document> WaitForAsync(this HttpClient client, Guid id, DocumentStatus status) => Eventually.ResultAsync(async () =>
    {
        var document = await client.GetDocumentAsync(id);
        return document.Status == status ? document : null;
    }, $"the document never became {status}");

    public static async Task<Document> IndexAsync(this HttpClient client, Guid collection, string name, string text) =>
        await client.WaitForAsync((await client.AddAsync(collection, name, text)).Id, DocumentStatus.Indexed);

    public static async Task<SearchResponse> SearchAsync(
        this HttpClient client, string query, string type = "hybrid", int topK = 3, params Guid[] collections)
    {
        using var response = await client.PostAsJsonAsync("/api/v1/search/semantic", new { query, top_k = topK, search_type = type, collections });
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<SearchResponse>(KnowledgeFixture.Json))!;
    }
}
