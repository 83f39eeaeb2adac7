using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Fleet.Knowledge.Retrieval;
using Grpc.Core;
using Contract = Fleet.Contracts.Knowledge.V1;

namespace Fleet.Knowledge.Tests;

public sealed class SearchTests(KnowledgeFixture fleet) : IDisposable
{
    private readonly Guid _user = Guid.CreateVersion7();
    private HttpClient? _lazy;

    private HttpClient Client => _lazy ??= fleet.ClientFor(_user);

    [Fact]
    public async Task The_answer_has_the_names_the_interface_fixes()
    {
        var collection = await Client.CreateCollectionAsync();
        var document = await Client.IndexAsync(collection, "비행.md", "# Birds\n\nSwifts sleep while they fly.");

        using var response = await Client.PostAsJsonAsync("/api/v1/search/semantic", new { query = "Where do swifts sleep?", top_k = 5, search_type = "hybrid" });

        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(answer.GetProperty("took_ms").GetDouble() > 0);
        Assert.False(answer.GetProperty("degraded").GetBoolean());
        var hit = answer.GetProperty("results").EnumerateArray().Single();
        Assert.Equal(document.Id, hit.GetProperty("documentId").GetGuid());
        Assert.Equal(collection, hit.GetProperty("collectionId").GetGuid());
        Assert.Equal("비행.md", hit.GetProperty("title").GetString());
        Assert.Equal(0, hit.GetProperty("start").GetInt32());
        Assert.Equal(hit.GetProperty("text").GetString()!.Length, hit.GetProperty("end").GetInt32());
        Assert.Equal(2, hit.GetProperty("scores").EnumerateObject().Count());
        Assert.Equal("Birds", hit.GetProperty("headings")[0].GetString());
    }

    [Theory]
    [InlineData("similarity", "vector")]
    [InlineData("lexical", "lexical")]
    public async Task Each_type_uses_its_own_retriever(string type, string score)
    {
        var collection = await Client.CreateCollectionAsync();
        await Client.IndexAsync(collection, "a.txt", "The lighthouse keeper counts ships.");

        var hit = Assert.Single((await Client.SearchAsync("lighthouse keeper", type, 3, collection)).Results);

        Assert.Equal([score], hit.Scores.Keys);
        Assert.Equal(hit.Score, hit.Scores[score]);
    }

    [Fact]
    public async Task Nobody_finds_what_is_not_theirs()
    {
        var collection = await Client.CreateCollectionAsync();
        var document = await Client.IndexAsync(collection, "secret.txt", "the code word is marmalade");
        using var stranger = fleet.ClientFor(Guid.CreateVersion7());

        foreach (var type in new[] { "hybrid", "similarity", "lexical" })
            Assert.Empty((await stranger.SearchAsync("marmalade", type)).Results);

        var chunk = (await Client.SearchAsync("marmalade")).Results[0].ChunkId;
        string[] routes =
        [
            $"/api/collections/{collection}", $"/api/collections/{collection}/documents", $"/api/documents/{document.Id}", $"/api/documents/{document.Id}/content",
            $"/api/documents/{document.Id}/content?as=text", $"/api/documents/{document.Id}/chunks", $"/api/documents/{document.Id}/events",
        ];
        foreach (var route in routes)
            Assert.Equal(HttpStatusCode.NotFound, (await stranger.GetAsync(route)).StatusCode);

        Assert.Equal(HttpStatusCode.NotFound, (await stranger.DeleteAsync($"/api/documents/{document.Id}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.DeleteAsync($"/api/collections/{collection}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.PatchAsJsonAsync($"/api/collections/{collection}", new { name = "mine" })).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.PostAsync($"/api/documents/{document.Id}/reindex", null)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.UploadAsync(collection, "a.txt", "smuggled")).StatusCode);
        using var named = await stranger.PostAsJsonAsync("/api/v1/search/semantic", new { query = "marmalade", collections = new[] { collection } });
        Assert.Equal(HttpStatusCode.NotFound, named.StatusCode);

        var grpc = fleet.GrpcFor(fleet.Tokens.Issue(Guid.CreateVersion7()), out var channel, out var headers);
        using (channel)
        {
            Assert.Empty((await grpc.SearchAsync(new Contract.SearchRequest { Query = "marmalade" }, headers)).Passages);
            await FailsAsync(StatusCode.NotFound, () => grpc.GetPassageAsync(new Contract.GetPassageRequest { ChunkId = chunk.ToString() }, headers));
            await FailsAsync(StatusCode.NotFound, () => grpc.SearchAsync(new Contract.SearchRequest { Query = "x", CollectionIds = { collection.ToString() } }, headers));
        }
    }

    [Fact]
    public async Task The_statistics_of_others_do_not_change_ones_scores()
    {
        var collection = await Client.CreateCollectionAsync();
        await Client.IndexAsync(collection, "a.txt", "a rare word: axolotl");
        var before = Assert.Single((await Client.SearchAsync("axolotl", "lexical")).Results).Score;
        using var other = fleet.ClientFor(Guid.CreateVersion7());
        await other.IndexAsync(await other.CreateCollectionAsync(), "b.txt", "axolotl axolotl axolotl");

        Assert.Equal(before, Assert.Single((await Client.SearchAsync("axolotl", "lexical")).Results).Score);
    }

    [Fact]
    public async Task Filters_narrow_both_halves()
    {
        var collection = await Client.CreateCollectionAsync();
        var text = await Client.IndexAsync(collection, "a.txt", "penguins swim in the south");
        var markdown = await Client.IndexAsync(collection, "b.md", "penguins swim in the sea");

        foreach (var type in new[] { "hybrid", "similarity", "lexical" })
        {
            Assert.Equal([markdown.Id], await FindAsync(new { media_types = new[] { "text/markdown" } }));
            Assert.Equal([text.Id], await FindAsync(new { document_ids = new[] { text.Id } }));
            Assert.Equal([markdown.Id], await FindAsync(new { uploaded_after = markdown.CreatedAt }));
            Assert.Equal([text.Id], await FindAsync(new { uploaded_before = markdown.CreatedAt }));

            async Task<Guid[]> FindAsync(object filters)
            {
                using var response = await Client.PostAsJsonAsync("/api/v1/search/semantic", new { query = "penguins swim", search_type = type, filters, collections = new[] { collection } });
                var answer = await response.Content.ReadFromJsonAsync<SearchResponse>(KnowledgeFixture.Json);
                return [.. answer!.Results.Select(hit => hit.DocumentId)];
            }
        }
    }

    [Theory]
    [InlineData("{}", "query")]
    [InlineData("{\"query\":\"  \"}", "query")]
    [InlineData("{\"query\":\"a\\u0000b\"}", "query")]
    [InlineData("{\"query\":\"a\",\"top_k\":0}", "top_k")]
    [InlineData("{\"query\":\"a\",\"top_k\":101}", "top_k")]
    [InlineData("{\"query\":\"a\",\"search_type\":\"mmr\"}", "search_type")]
    [InlineData("{\"query\":\"a\",\"search_type\":\"magic\"}", "search_type")]
    public async Task A_bad_field_is_named(string body, string field)
    {
        using var response = await PostAsync(body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("urn:fleet:problem:validation", problem.GetProperty("type").GetString());
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"query\":5}")]
    [InlineData("{\"query\":\"a\",\"top_k\":\"many\"}")]
    [InlineData("{\"query\":\"a\",\"collections\":[\"x\"]}")]
    [InlineData("{\"query\":\"a\",\"filters\":{\"owner\":\"me\"}}")]
    public async Task A_body_that_cannot_be_read_is_400(string body)
    {
        using var response = await PostAsync(body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task A_query_longer_than_allowed_is_400_and_one_of_symbols_finds_nothing_lexical()
    {
        using var tooLong = await PostAsync(JsonSerializer.Serialize(new { query = new string('x', 8193) }));

        Assert.Equal(HttpStatusCode.BadRequest, tooLong.StatusCode);
        Assert.Empty((await Client.SearchAsync("?!% _' --", "lexical")).Results);
    }

    [Fact]
    public async Task Search_goes_on_by_words_while_inference_is_away()
    {
        await using var alone = new FakeFleet();
        await alone.StartAsync([]);
        using var client = alone.ClientFor(_user);
        await client.IndexAsync(await client.CreateCollectionAsync(), "a.txt", "words still work");
        alone.Inference.Before(_ => throw new RpcException(new Status(StatusCode.Unavailable, "gone")));

        var hybrid = await client.SearchAsync("words", "hybrid");
        using var similarity = await client.PostAsJsonAsync("/api/v1/search/semantic", new { query = "words", search_type = "similarity" });

        Assert.True(hybrid.Degraded);
        Assert.Single(hybrid.Results);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, similarity.StatusCode);
        Assert.Equal("urn:fleet:problem:embeddings-unavailable", (await similarity.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("type").GetString());
    }

    [Fact]
    public async Task Grpc_finds_the_same_passages_and_gives_each_again_by_id()
    {
        var collection = await Client.CreateCollectionAsync();
        await Client.IndexAsync(collection, "a.md", "# Sea\n\nThe tide turns twice a day.");
        var http = Assert.Single((await Client.SearchAsync("tide", "hybrid", 3, collection)).Results);

        var grpc = fleet.GrpcFor(fleet.Tokens.Issue(_user), out var channel, out var headers);
        using (channel)
        {
            var found = await grpc.SearchAsync(new Contract.SearchRequest { Query = "tide", CollectionIds = { collection.ToString() } }, headers);
            var passage = Assert.Single(found.Passages);
            var again = await grpc.GetPassageAsync(new Contract.GetPassageRequest { ChunkId = passage.ChunkId }, headers);

            Assert.Equal(http.ChunkId.ToString(), passage.ChunkId);
            Assert.Equal((http.Start, http.End, http.Text, http.Score), (passage.Start, passage.End, passage.Text, passage.Score));
            Assert.Equal(["Sea"], passage.Headings);
            Assert.Equal(passage.Text, again.Text);
            await FailsAsync(StatusCode.InvalidArgument, () => grpc.SearchAsync(new Contract.SearchRequest(), headers));
            await FailsAsync(StatusCode.InvalidArgument, () => grpc.SearchAsync(new Contract.SearchRequest { Query = "a", TopK = -1 }, headers));
            await FailsAsync(StatusCode.InvalidArgument, () => grpc.SearchAsync(new Contract.SearchRequest { Query = "a", CollectionIds = { "x" } }, headers));
            await FailsAsync(StatusCode.NotFound, () => grpc.GetPassageAsync(new Contract.GetPassageRequest { ChunkId = Guid.NewGuid().ToString() }, headers));
        }
    }

    [Fact]
    public async Task Grpc_needs_a_valid_users_token()
    {
        string?[] tokens = [null, "nonsense", fleet.Tokens.Expired(_user), fleet.Tokens.Foreign(_user), fleet.Tokens.WrongAudience(_user)];
        foreach (var token in tokens)
            Assert.Equal(StatusCode.Unauthenticated, await StatusAsync(token));

        Assert.Equal(StatusCode.PermissionDenied, await StatusAsync(fleet.Tokens.IssueService("chat")));

        async Task<StatusCode> StatusAsync(string? token)
        {
            var grpc = fleet.GrpcFor(token, out var channel, out var headers);
            using (channel)
                return (await Assert.ThrowsAsync<RpcException>(async () => await grpc.SearchAsync(new Contract.SearchRequest { Query = "a" }, headers))).StatusCode;
        }
    }

    [Theory]
    [InlineData("GET", "/api/collections")]
    [InlineData("POST", "/api/collections")]
    [InlineData("GET", "/api/collections/{id}")]
    [InlineData("PATCH", "/api/collections/{id}")]
    [InlineData("DELETE", "/api/collections/{id}")]
    [InlineData("GET", "/api/collections/{id}/documents")]
    [InlineData("POST", "/api/collections/{id}/documents")]
    [InlineData("GET", "/api/documents/{id}")]
    [InlineData("GET", "/api/documents/{id}/content")]
    [InlineData("GET", "/api/documents/{id}/chunks")]
    [InlineData("GET", "/api/documents/{id}/events")]
    [InlineData("POST", "/api/documents/{id}/reindex")]
    [InlineData("DELETE", "/api/documents/{id}")]
    [InlineData("POST", "/api/v1/search/semantic")]
    public async Task Every_route_needs_a_valid_users_token(string method, string route)
    {
        string?[] tokens = [null, "nonsense", fleet.Tokens.Expired(_user), fleet.Tokens.Foreign(_user), fleet.Tokens.WrongAudience(_user)];
        foreach (var token in tokens)
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(token));

        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(fleet.Tokens.IssueService("chat")));

        async Task<HttpStatusCode> StatusAsync(string? token)
        {
            using var client = fleet.Service.CreateClient(token);
            using var request = new HttpRequestMessage(new HttpMethod(method), route.Replace("{id}", Guid.NewGuid().ToString(), StringComparison.Ordinal));
            using var response = await client.SendAsync(request);
            return response.StatusCode;
        }
    }

    [Theory]
    [InlineData("POST", "/api/collections", "{}")]
    [InlineData("POST", "/api/collections", "{\"name\":\"\"}")]
    [InlineData("POST", "/api/collections", "{\"name\":\"   \"}")]
    [InlineData("POST", "/api/collections", "{\"name\":7}")]
    [InlineData("POST", "/api/collections", "{\"name\":\"a\\u0000\"}")]
    [InlineData("POST", "/api/collections", "nonsense")]
    [InlineData("GET", "/api/collections?limit=0", null)]
    [InlineData("GET", "/api/collections?limit=1000", null)]
    [InlineData("GET", "/api/collections?cursor=x", null)]
    public async Task Bad_input_to_collections_is_400(string method, string route, string? body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), route);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");

        using var response = await Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task A_body_of_another_type_is_415()
    {
        using var text = new StringContent("{\"name\":\"a\"}", Encoding.UTF8, "text/plain");

        using var response = await Client.PostAsync("/api/collections", text);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact]
    public async Task A_collection_can_be_renamed_and_counts_its_documents()
    {
        var id = await Client.CreateCollectionAsync("Old");
        await Client.IndexAsync(id, "a.txt", "one");

        using var response = await Client.PatchAsJsonAsync($"/api/collections/{id}", new { name = "새 이름" });

        var collection = await response.Content.ReadFromJsonAsync<Collections.Collection>(KnowledgeFixture.Json);
        Assert.Equal(("새 이름", 1, 1, 0), (collection!.Name, collection.Documents, collection.IndexedDocuments, collection.FailedDocuments));
    }

    public void Dispose() => _lazy?.Dispose();

    private static async Task FailsAsync<T>(StatusCode expected, Func<AsyncUnaryCall<T>> call) =>
        Assert.Equal(expected, (await Assert.ThrowsAsync<RpcException>(async () => await call())).StatusCode);

    private Task<HttpResponseMessage> PostAsync(string body) =>
        Client.PostAsync("/api/v1/search/semantic", new StringContent(body, Encoding.UTF8, "application/json"));
}
