using Fleet.Knowledge.Documents;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Ingestion;

/// <summary>The document itself is at fault; trying again would not help. The message is for its uploader.</summary>
internal sealed class UnreadableDocumentException(string message) : Exception(message);

/// <summary>One document from its file to both indexes: stored → parsed → split → embedded → indexed.</summary>
internal sealed class DocumentIngestion(
    IngestionStore store, DocumentFiles files, ChunkEmbedder embedder, TimeProvider time, IOptions<IngestionOptions> options)
{
    /// <exception cref="UnreadableDocumentException">It can never be indexed.</exception>
    /// <exception cref="LeaseLostException">Somebody else has it now.</exception>
    public async Task RunAsync(IngestionJob job, IngestionSource source, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();

        var text = await ParseAsync(source, cancellationToken);
        await store.SaveTextAsync(job, text, cancellationToken);

        var chunks = Chunker.Split(text, source.MediaType == FileType.Markdown);
        if (chunks.Count == 0)
            throw new UnreadableDocumentException("The document holds no text.");

        await store.SaveSplitAsync(job, chunks.Count, cancellationToken);

        var embedded = await embedder.EmbedAsync(
            source.DocumentId, source.OwnerId, chunks, done => store.SaveEmbeddedAsync(job, done, done == chunks.Count, cancellationToken), cancellationToken);

        await store.CompleteAsync(job, source, embedded, time.GetElapsedTime(started), cancellationToken);
    }

    private async Task<string> ParseAsync(IngestionSource source, CancellationToken cancellationToken)
    {
        if (!files.Exists(source.DocumentId))
            throw new UnreadableDocumentException("The uploaded file is missing on the server. Please upload it again.");

        var bytes = await files.ReadAsync(source.DocumentId, cancellationToken);
        if (!TextDecoder.TryDecode(bytes, out var text))
            throw new UnreadableDocumentException("The file is not text in a known encoding (UTF-8, UTF-16 or CP949).");

        if (text.Length > options.Value.MaxCharacters)
        {
            throw new UnreadableDocumentException(string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"The document has {text.Length:N0} characters; at most {options.Value.MaxCharacters:N0} are indexed. Please split it."));
        }

        return text;
    }
}
