using System.Security.Cryptography;
using System.Text;
using Fleet.Knowledge.Clients;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Ingestion;

/// <summary>All chunks of a document in one space.</summary>
internal sealed record EmbeddedDocument(string Space, IReadOnlyList<IndexedChunk> Chunks);

/// <summary>
/// Gives every chunk its vector, asking inference only for what is not known yet. What it gets it keeps at once, so that an
/// interrupted document goes on where it was.
/// </summary>
internal sealed class ChunkEmbedder(InferenceClient inference, EmbeddingStore store, IOptions<IngestionOptions> options)
{
    // The default model may change while a document is embedded; twice in one document is no longer that.
    private const int MaxSpaceChanges = 2;

    public async Task<EmbeddedDocument> EmbedAsync(
        Guid documentId, Guid ownerId, IReadOnlyList<Chunk> chunks, Func<int, Task> progress, CancellationToken cancellationToken)
    {
        var hashes = chunks.Select(chunk => SHA256.HashData(Encoding.UTF8.GetBytes(chunk.SearchText))).ToArray();

        // The space is known from an answer only: the first chunk asks for it.
        var probe = await AskAsync([0]);
        for (var change = 0; change <= MaxSpaceChanges; change++)
        {
            var vectors = await store.FindAsync(probe.Space, hashes, cancellationToken);
            vectors[Convert.ToHexString(hashes[0])] = probe.Vectors[0];
            var missing = Enumerable.Range(0, chunks.Count)
                .Where(ordinal => !vectors.ContainsKey(Convert.ToHexString(hashes[ordinal])))
                .DistinctBy(ordinal => Convert.ToHexString(hashes[ordinal]))
                .ToList();

            var done = chunks.Count - missing.Count;
            await progress(done);
            var moved = default(EmbeddingBatch);
            foreach (var part in missing.Chunk(options.Value.EmbeddingBatch))
            {
                var answer = await AskAsync(part);
                if (answer.Space != probe.Space)
                {
                    moved = answer;
                    break;
                }

                for (var i = 0; i < part.Length; i++)
                    vectors[Convert.ToHexString(hashes[part[i]])] = answer.Vectors[i];

                done += part.Length;
                await progress(done);
            }

            if (moved is null)
            {
                return new EmbeddedDocument(probe.Space,
                    [.. chunks.Select((chunk, ordinal) => new IndexedChunk(chunk, hashes[ordinal], vectors[Convert.ToHexString(hashes[ordinal])]))]);
            }

            probe = await AskAsync([0]);
        }

        throw new EmbeddingsUnavailableException("The embedding model kept changing.");

        async Task<EmbeddingBatch> AskAsync(IReadOnlyList<int> ordinals)
        {
            var answer = await inference.EmbedAsync(
                ownerId, [.. ordinals.Select(ordinal => chunks[ordinal].SearchText)], options.Value.EmbeddingTimeout, isBatchWork: true, cancellationToken);
            await store.EnsureSpaceAsync(answer.Space, answer.Model, answer.Dimensions, cancellationToken);
            await store.SaveAsync(documentId, answer.Space, [.. ordinals.Select((ordinal, i) => (hashes[ordinal], answer.Vectors[i]))], cancellationToken);
            return answer;
        }
    }
}
