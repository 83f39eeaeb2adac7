using System.Net;
using Fleet.Knowledge.Documents;
using Fleet.Knowledge.Ingestion;
using Fleet.Testing;
using Grpc.Core;

namespace Fleet.Knowledge.Tests;

/// <summary>What happens to documents when things go wrong around them; each test has a service of its own.</summary>
public sealed class IngestionTests : IAsyncLifetime
{
    private readonly FakeFleet _fleet = new();
    private readonly Guid _user = Guid.CreateVersion7();

    [Fact]
    public async Task A_document_whose_worker_died_is_picked_up_and_indexed_once()
    {
        await _fleet.StartAsync([]);
        using var client = _fleet.ClientFor(_user);
        var collection = await client.CreateCollectionAsync();
        // The first worker never comes back from its call: as dead as a worker can be without ending the process.
        var stuck = new TaskCompletionSource();
        var calls = 0;
        _fleet.Inference.Before(_ => Interlocked.Increment(ref calls) == 1 ? stuck.Task : Task.CompletedTask);
        var document = await client.AddAsync(collection, "a.txt", "rescued from a dead worker");
        await Eventually.TrueAsync(() => Volatile.Read(ref calls) == 1);

        await _fleet.Database.ExecuteAsync("UPDATE ingestion_jobs SET lease_until = now() - interval '1 second'");
        var indexed = await client.WaitForAsync(document.Id, DocumentStatus.Indexed);
        stuck.SetResult();

        // The first worker wakes up, finds its lease gone and changes nothing.
        await Eventually.TrueAsync(() => _fleet.Inference.Texts == 2);
        Assert.Equal(1, indexed.Chunks);
        Assert.Equal(1L, await _fleet.Database.ScalarAsync("SELECT count(*) FROM chunks"));
        Assert.Equal(1L, await _fleet.Database.ScalarAsync("SELECT chunks FROM collection_statistics"));
        Assert.Equal(1L, await _fleet.Database.ScalarAsync("SELECT count(*) FROM outbox_messages WHERE type = 'DocumentIndexed'"));
    }

    [Fact]
    public async Task A_stopped_replica_hands_its_work_to_another()
    {
        await _fleet.StartAsync([]);
        using var client = _fleet.ClientFor(_user);
        var collection = await client.CreateCollectionAsync();
        var stuck = new TaskCompletionSource();
        var reached = new TaskCompletionSource();
        _fleet.Inference.Before(_ =>
        {
            reached.TrySetResult();
            return stuck.Task;
        });
        var document = await client.AddAsync(collection, "a.txt", "handed over");
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(20));

        await using var second = new FakeFleet().Beside(_fleet);
        await second.StartAsync([]);
        await _fleet.Service.DisposeAsync();
        stuck.SetResult();

        using var other = second.ClientFor(_user);
        Assert.Equal(1, (await other.WaitForAsync(document.Id, DocumentStatus.Indexed)).Chunks);
        Assert.Equal(1L, await _fleet.Database.ScalarAsync("SELECT count(*) FROM outbox_messages WHERE type = 'DocumentIndexed'"));
    }

    [Fact]
    public async Task Inference_that_is_away_for_a_while_only_delays()
    {
        await _fleet.StartAsync([]);
        using var client = _fleet.ClientFor(_user);
        var calls = 0;
        _fleet.Inference.Before(_ => Interlocked.Increment(ref calls) <= 3
            ? throw new RpcException(new Status(StatusCode.Unavailable, "loading"))
            : Task.CompletedTask);

        var indexed = await client.IndexAsync(await client.CreateCollectionAsync(), "a.txt", "patience");

        Assert.Null(indexed.FailureReason);
        Assert.True(calls >= 4);
    }

    [Fact]
    public async Task Inference_that_stays_away_fails_the_document_with_a_reason_and_reindexing_helps_later()
    {
        await _fleet.StartAsync(new() { ["Knowledge:Ingestion:MaxAttempts"] = "2" });
        using var client = _fleet.ClientFor(_user);
        var collection = await client.CreateCollectionAsync();
        _fleet.Inference.Before(_ => throw new RpcException(new Status(StatusCode.Unavailable, "gone")));
        var document = await client.AddAsync(collection, "a.txt", "no vectors today");
        var failed = await client.WaitForAsync(document.Id, DocumentStatus.Failed);
        Assert.Contains("embedding model", failed.FailureReason, StringComparison.Ordinal);

        _fleet.Inference.Before(null);
        using var response = await client.PostAsync($"/api/documents/{document.Id}/reindex", null);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Null((await client.WaitForAsync(document.Id, DocumentStatus.Indexed)).FailureReason);
    }

    [Fact]
    public async Task A_document_that_kills_its_worker_again_and_again_is_given_up()
    {
        await _fleet.StartAsync(new() { ["Knowledge:Ingestion:MaxAttempts"] = "3" });
        using var client = _fleet.ClientFor(_user);
        var collection = await client.CreateCollectionAsync();
        var document = await client.IndexAsync(collection, "a.txt", "poison");

        await _fleet.Database.ExecuteAsync(
            $"INSERT INTO ingestion_jobs (document_id, owner_id, attempts) VALUES ('{document.Id}', '{_user}', 3)");

        Assert.Contains("interrupted", (await client.WaitForAsync(document.Id, DocumentStatus.Failed)).FailureReason, StringComparison.Ordinal);
        Assert.Equal(0L, await _fleet.Database.ScalarAsync("SELECT count(*) FROM chunks"));
    }

    [Fact]
    public async Task Embeddings_already_computed_are_not_asked_for_again_after_an_interruption()
    {
        await _fleet.StartAsync(new() { ["Knowledge:Ingestion:EmbeddingBatch"] = "4" });
        using var client = _fleet.ClientFor(_user);
        var text = string.Join("\n\n", Enumerable.Range(0, 20).Select(i => $"# Heading {i}\n\nPassage number {i}."));
        var calls = 0;
        _fleet.Inference.Before(_ => Interlocked.Increment(ref calls) == 4
            ? throw new RpcException(new Status(StatusCode.Unavailable, "restart"))
            : Task.CompletedTask);

        var indexed = await client.IndexAsync(await client.CreateCollectionAsync(), "a.md", text);

        Assert.Equal(20, indexed.Chunks);
        // One more than the chunks: the question for the space is asked at each start.
        Assert.InRange(_fleet.Inference.Texts, 20, 21);
    }

    [Fact]
    public async Task A_new_default_model_is_a_new_space_with_its_own_index_and_reindexing_moves_to_it()
    {
        await _fleet.StartAsync([]);
        using var client = _fleet.ClientFor(_user);
        var collection = await client.CreateCollectionAsync();
        var document = await client.IndexAsync(collection, "a.txt", "moving between spaces");

        _fleet.Inference.Space = "another-model-v2";
        Assert.Empty((await client.SearchAsync("moving between spaces", "similarity", 3, collection)).Results);
        await client.PostAsync($"/api/documents/{document.Id}/reindex", null);
        await client.WaitForAsync(document.Id, DocumentStatus.Indexed);

        Assert.Single((await client.SearchAsync("moving between spaces", "similarity", 3, collection)).Results);
        Assert.Equal(2L, await _fleet.Database.ScalarAsync("SELECT count(*) FROM pg_indexes WHERE tablename = 'chunks' AND indexdef LIKE '%hnsw%'"));
    }

    [Fact]
    public async Task A_document_deleted_while_in_work_stays_deleted()
    {
        await _fleet.StartAsync([]);
        using var client = _fleet.ClientFor(_user);
        var stuck = new TaskCompletionSource();
        var reached = new TaskCompletionSource();
        _fleet.Inference.Before(_ =>
        {
            reached.TrySetResult();
            return stuck.Task;
        });
        var document = await client.AddAsync(await client.CreateCollectionAsync(), "a.txt", "soon gone");
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(HttpStatusCode.NoContent, (await client.DeleteAsync($"/api/documents/{document.Id}")).StatusCode);
        stuck.SetResult();

        _fleet.Inference.Before(null);
        await client.IndexAsync(await client.CreateCollectionAsync(), "b.txt", "the worker goes on");
        Assert.Equal(0L, await _fleet.Database.ScalarAsync($"SELECT count(*) FROM chunks WHERE document_id = '{document.Id}'"));
        Assert.Equal(0L, await _fleet.Database.ScalarAsync($"SELECT count(*) FROM embedding_cache WHERE document_id = '{document.Id}'"));
    }

    [Fact]
    public async Task A_file_larger_than_ordinary_bodies_is_taken()
    {
        await _fleet.StartAsync(new() { ["Knowledge:MaxUploadBytes"] = "20000000" });
        using var client = _fleet.ClientFor(_user);

        var indexed = await client.IndexAsync(await client.CreateCollectionAsync(), "log.txt", "first words" + new string('\n', 12_000_000) + "last words");

        Assert.Equal(12_000_021, indexed.SizeBytes);
        Assert.Equal("last words", (string?)await _fleet.Database.ScalarAsync("SELECT right(text, 10) FROM chunks ORDER BY ordinal DESC LIMIT 1"));
    }

    [Fact]
    public async Task One_big_import_does_not_starve_others()
    {
        await _fleet.StartAsync(new() { ["Knowledge:Ingestion:Concurrency"] = "1" });
        var (busy, quiet) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        await _fleet.Service.DisposeAsync();
        await _fleet.Database.ExecuteAsync(
            $"""
            INSERT INTO collections SELECT gen_random_uuid(), o, 'c', '', now(), now() FROM unnest(ARRAY['{busy}', '{quiet}']::uuid[]) o;
            INSERT INTO documents (id, collection_id, owner_id, name, media_type, size_bytes, content_hash, status, created_at, updated_at)
            SELECT gen_random_uuid(), c.id, c.owner_id, n::text, 'text/plain', 1, n::text::bytea, 'stored', now(), now()
            FROM collections c CROSS JOIN generate_series(1, 5) n;
            INSERT INTO ingestion_jobs (document_id, owner_id, run_at)
            SELECT id, owner_id, now() - interval '1 hour' * CASE WHEN owner_id = '{busy}' THEN 2 ELSE 1 END FROM documents;
            """);
        await using var source = Npgsql.NpgsqlDataSource.Create(_fleet.Database.ConnectionString);
        var jobs = new IngestionJobs(source, Microsoft.Extensions.Options.Options.Create(new IngestionOptions()));

        var owners = new List<Guid>();
        for (var i = 0; i < 4; i++)
        {
            var job = await jobs.ClaimAsync(CancellationToken.None);
            owners.Add((Guid)(await _fleet.Database.ScalarAsync($"SELECT owner_id FROM documents WHERE id = '{job!.DocumentId}'"))!);
        }

        Assert.Equal([busy, quiet, busy, quiet], owners);
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _fleet.DisposeAsync();
}
