using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Fleet.Knowledge.Documents;
using Fleet.ServiceDefaults.Http;
using Fleet.Testing;

namespace Fleet.Knowledge.Tests;

public sealed class DocumentTests(KnowledgeFixture fleet) : IDisposable
{
    private readonly HttpClient _client = fleet.ClientFor(Guid.CreateVersion7());

    [Fact]
    public async Task An_uploaded_document_is_indexed_and_its_chunks_are_exact_parts_of_its_text()
    {
        var collection = await _client.CreateCollectionAsync();
        var text = "# 안내\r\n\r\n" + string.Join("\r\n\r\n", Enumerable.Range(0, 60).Select(i => $"{i}번째 문단입니다. It has two sentences 😀."));

        var document = await _client.IndexAsync(collection, "안내서.md", text);

        Assert.Equal("안내서.md", document.Name);
        Assert.Equal("text/markdown", document.MediaType);
        Assert.Equal(document.Chunks, document.EmbeddedChunks);
        var stored = await _client.GetStringAsync($"/api/documents/{document.Id}/content?as=text");
        Assert.Equal(document.Characters, stored.Length);
        var chunks = await ChunksAsync(document.Id);
        Assert.Equal(document.Chunks, chunks.Count);
        Assert.Equal(Enumerable.Range(0, chunks.Count), chunks.Select(chunk => chunk.Ordinal));
        Assert.All(chunks, chunk => Assert.Equal(stored[chunk.Start..chunk.End], chunk.Text));
    }

    [Fact]
    public async Task The_original_file_comes_back_byte_for_byte_and_never_as_a_page()
    {
        var collection = await _client.CreateCollectionAsync();
        byte[] bytes = [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes("<script>alert(1)</script>\r\n")];
        using var upload = await _client.UploadAsync(collection, "../../a b.txt", bytes);
        var document = (await upload.Content.ReadFromJsonAsync<Document>(KnowledgeFixture.Json))!;

        using var response = await _client.GetAsync($"/api/documents/{document.Id}/content");

        Assert.Equal("a b.txt", document.Name);
        Assert.Equal(bytes, await response.Content.ReadAsByteArrayAsync());
        Assert.Equal("attachment", response.Content.Headers.ContentDisposition?.DispositionType);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
    }

    [Fact]
    public async Task The_same_content_in_one_collection_is_one_document()
    {
        var collection = await _client.CreateCollectionAsync();
        var first = await _client.AddAsync(collection, "a.txt", "the same content");

        using var again = await _client.UploadAsync(collection, "b.txt", "the same content");
        using var elsewhere = await _client.UploadAsync(await _client.CreateCollectionAsync(), "b.txt", "the same content");

        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Equal(first.Id, (await again.Content.ReadFromJsonAsync<Document>(KnowledgeFixture.Json))!.Id);
        Assert.Equal(HttpStatusCode.Created, elsewhere.StatusCode);
    }

    [Fact]
    public async Task Many_uploads_of_the_same_content_at_once_are_one_document()
    {
        var collection = await _client.CreateCollectionAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _client.UploadAsync(collection, "a.txt", "racing content")));

        Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.Created);
        Assert.Equal(7, answers.Count(answer => answer.StatusCode == HttpStatusCode.OK));
        Assert.Single((await _client.GetFromJsonAsync<CursorPage<Document>>($"/api/collections/{collection}/documents", KnowledgeFixture.Json))!.Items);
    }

    [Theory]
    [InlineData("cp949")]
    [InlineData("utf-16")]
    public async Task Legacy_encodings_are_read(string encoding)
    {
        var collection = await _client.CreateCollectionAsync();
        var bytes = encoding == "cp949" ? CodePagesEncodingProvider.Instance.GetEncoding(949)!.GetBytes("부산의 겨울 바다") : Encoding.Unicode.GetBytes("부산 winter 바다");
        using var upload = await _client.UploadAsync(collection, "a.txt", bytes);
        var document = (await upload.Content.ReadFromJsonAsync<Document>(KnowledgeFixture.Json))!;
        await _client.WaitForAsync(document.Id, DocumentStatus.Indexed);

        Assert.Contains("바다", Assert.Single((await _client.SearchAsync("바다", "lexical", 3, collection)).Results).Text, StringComparison.Ordinal);
    }

    public static TheoryData<string, byte[], int> BadUploads => new()
    {
        { "empty.txt", [], 400 },
        { "a.pdf", "%PDF-1.7 ..."u8.ToArray(), 415 },
        { "a.txt", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0], 415 },
        { "a.docx", [0x50, 0x4B, 3, 4, 0, 0, 0, 0], 415 },
        { "a.txt", [1, 2, 3, 4, 5, 6, 7, 0, 0, 0], 415 },
        { "a.txt", [0xC3, 0x28, 0xFF, 0xFF, 0x80], 415 },
        { "a.html", "<p>text</p>"u8.ToArray(), 415 },
        { "big.txt", new byte[3_000_001], 413 },
        { "bigger.txt", new byte[3_200_000], 413 },
    };

    [Theory]
    [MemberData(nameof(BadUploads))]
    public async Task A_file_that_cannot_be_used_is_refused_with_a_reason(string name, byte[] content, int status)
    {
        var collection = await _client.CreateCollectionAsync();

        using var response = await _client.UploadAsync(collection, name, content);

        Assert.Equal(status, (int)response.StatusCode);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.StartsWith("urn:fleet:problem:", problem.GetProperty("type").GetString(), StringComparison.Ordinal);
        Assert.NotEmpty(problem.GetProperty("title").GetString()!);
        Assert.Empty((await _client.GetFromJsonAsync<CursorPage<Document>>($"/api/collections/{collection}/documents", KnowledgeFixture.Json))!.Items);
        Assert.DoesNotContain(new DirectoryInfo(Path.Combine(fleet.StorageDirectory, "incoming")).GetFiles(), file => file.Length == content.Length);
    }

    [Theory]
    [InlineData("application/json", "{}")]
    [InlineData("multipart/form-data", "no boundary")]
    [InlineData("multipart/form-data; boundary=x", "cut off")]
    [InlineData("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\ntext\r\n--x--\r\n")]
    [InlineData("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ncut")]
    public async Task A_body_that_is_no_upload_is_400(string type, string body)
    {
        var collection = await _client.CreateCollectionAsync();
        using var content = new StringContent(body);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);

        using var response = await _client.PostAsync($"/api/collections/{collection}/documents", content);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task White_space_only_fails_with_a_reason_for_the_uploader()
    {
        var document = await _client.AddAsync(await _client.CreateCollectionAsync(), "a.txt", "  \n\n ");

        Assert.Equal("The document holds no text.", (await _client.WaitForAsync(document.Id, DocumentStatus.Failed)).FailureReason);
        await Eventually.TrueAsync(async () => await fleet.Database.ScalarAsync(
            $"SELECT count(*) FROM outbox_messages WHERE type = 'DocumentFailed' AND payload->>'documentId' = '{document.Id}'") is 1L);
    }

    [Fact]
    public async Task Deleting_leaves_nothing()
    {
        var collection = await _client.CreateCollectionAsync();
        var keep = await _client.IndexAsync(collection, "keep.txt", "shared words stay");
        var document = await _client.IndexAsync(collection, "a.txt", "shared words and zebrafish");
        Assert.Single((await _client.SearchAsync("zebrafish", "lexical", 3, collection)).Results);

        using var response = await _client.DeleteAsync($"/api/documents/{document.Id}");

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Empty((await _client.SearchAsync("zebrafish", "lexical", 3, collection)).Results);
        foreach (var table in new[] { "documents WHERE id", "chunks WHERE document_id", "document_texts WHERE document_id", "embedding_cache WHERE document_id", "ingestion_jobs WHERE document_id" })
            Assert.Equal(0L, await fleet.Database.ScalarAsync($"SELECT count(*) FROM {table} = '{document.Id}'"));

        Assert.Empty(Directory.GetFiles(fleet.StorageDirectory, document.Id.ToString("N"), SearchOption.AllDirectories));
        Assert.Equal(0L, await fleet.Database.ScalarAsync($"SELECT count(*) FROM collection_terms WHERE collection_id = '{collection}' AND term = 'zebrafish'"));
        await AssertStatisticsAsync(collection);
        Assert.Equal(HttpStatusCode.NotFound, (await _client.DeleteAsync($"/api/documents/{document.Id}")).StatusCode);
        Assert.Equal(keep.Id, Assert.Single((await _client.SearchAsync("shared", "hybrid", 3, collection)).Results).DocumentId);
    }

    [Fact]
    public async Task Deleting_a_collection_deletes_its_documents_and_files()
    {
        var collection = await _client.CreateCollectionAsync();
        var document = await _client.IndexAsync(collection, "a.txt", "gone with its collection");

        using var response = await _client.DeleteAsync($"/api/collections/{collection}");

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await _client.GetAsync($"/api/documents/{document.Id}")).StatusCode);
        Assert.Empty(Directory.GetFiles(fleet.StorageDirectory, document.Id.ToString("N"), SearchOption.AllDirectories));
        Assert.Equal(0L, await fleet.Database.ScalarAsync($"SELECT count(*) FROM chunks WHERE collection_id = '{collection}'"));
    }

    [Fact]
    public async Task Reindexing_replaces_chunks_keeps_their_ids_and_asks_for_no_vector_twice()
    {
        var collection = await _client.CreateCollectionAsync();
        var document = await _client.IndexAsync(collection, "a.md", "# A\n\nfirst passage\n\n# B\n\nsecond passage");
        var before = await ChunksAsync(document.Id);

        using var response = await _client.PostAsync($"/api/documents/{document.Id}/reindex", null);
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        var after = await _client.WaitForAsync(document.Id, DocumentStatus.Indexed);

        Assert.True(after.IndexedAt > document.IndexedAt);
        Assert.Equal(before.Select(chunk => chunk.Id), (await ChunksAsync(document.Id)).Select(chunk => chunk.Id));
        await AssertStatisticsAsync(collection);
    }

    [Fact]
    public async Task Events_follow_the_document_to_its_end()
    {
        var document = await _client.AddAsync(await _client.CreateCollectionAsync(), "a.txt", "a text to follow");

        var stream = await _client.GetStringAsync($"/api/documents/{document.Id}/events");

        var states = stream.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal))
            .Select(line => JsonSerializer.Deserialize<Document>(line[6..], KnowledgeFixture.Json)!).ToList();
        Assert.Equal(DocumentStatus.Indexed, states[^1].Status);
        Assert.Equal(states.Select(state => state.Status).Order(), states.Select(state => state.Status));
        Assert.Contains("event: status", stream, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Documents_page_without_gaps_or_repeats()
    {
        var collection = await _client.CreateCollectionAsync();
        var added = new List<Guid>();
        for (var i = 0; i < 5; i++)
            added.Add((await _client.AddAsync(collection, $"{i}.txt", $"document number {i}")).Id);

        var seen = new List<Guid>();
        string? cursor = null;
        do
        {
            var page = await _client.GetFromJsonAsync<CursorPage<Document>>(
                $"/api/collections/{collection}/documents?limit=2{(cursor is null ? "" : "&cursor=" + cursor)}", KnowledgeFixture.Json);
            seen.AddRange(page!.Items.Select(document => document.Id));
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        added.Reverse();
        Assert.Equal(added, seen);
    }

    public void Dispose() => _client.Dispose();

    private async Task<List<DocumentChunk>> ChunksAsync(Guid document)
    {
        var chunks = new List<DocumentChunk>();
        string? cursor = null;
        do
        {
            var page = await _client.GetFromJsonAsync<CursorPage<DocumentChunk>>(
                $"/api/documents/{document}/chunks?limit=3{(cursor is null ? "" : "&cursor=" + cursor)}", KnowledgeFixture.Json);
            chunks.AddRange(page!.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        return chunks;
    }

    /// <summary>What is kept equals what counting anew would give.</summary>
    private async Task AssertStatisticsAsync(Guid collection)
    {
        Assert.Equal(0L, await fleet.Database.ScalarAsync(
            $"""
            SELECT count(*) FROM (SELECT term, chunks::bigint FROM collection_terms WHERE collection_id = '{collection}') kept
            FULL JOIN (SELECT term, count(*) AS chunks FROM postings WHERE collection_id = '{collection}' GROUP BY term) counted USING (term)
            WHERE kept.chunks IS DISTINCT FROM counted.chunks
            """));
        Assert.Equal(true, await fleet.Database.ScalarAsync(
            $"""
            SELECT s.chunks = (SELECT count(*) FROM chunks WHERE collection_id = s.collection_id)
               AND s.length = (SELECT sum(length) FROM (SELECT DISTINCT chunk_id, length FROM postings WHERE collection_id = s.collection_id) l)
            FROM collection_statistics s WHERE collection_id = '{collection}'
            """));
    }
}
