using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Knowledge.Collections;
using Fleet.Knowledge.Telemetry;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Documents;

internal static class DocumentEndpoints
{
    public static void AddDocuments(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<IValidateOptions<DocumentOptions>, DocumentOptionsValidator>();
        builder.Services.AddOptions<DocumentOptions>().BindConfiguration(DocumentOptions.SectionName).ValidateOnStart();
        builder.Services.AddSingleton<DocumentFiles>();
        builder.Services.AddSingleton<DocumentStore>();
    }

    public static void MapDocuments(this WebApplication app)
    {
        var collections = app.MapGroup("/api/collections/{collectionId:guid}/documents").WithTags("Documents").RequireAuthorization(FleetPolicies.User);

        collections.MapPost("", Upload).WithName("UploadDocument").WithSummary("Upload a file (multipart field `file`); 200 with the existing one when the content is there already");
        collections.MapGet("", List).WithName("ListDocuments").WithSummary("Documents of a collection, newest first");

        var documents = app.MapGroup("/api/documents/{id:guid}").WithTags("Documents").RequireAuthorization(FleetPolicies.User);

        documents.MapGet("", Get).WithName("GetDocument").WithSummary("A document and how far its ingestion is");
        documents.MapGet("/content", Content).WithName("GetDocumentContent").WithSummary("The file as uploaded, or `?as=text` for the text that offsets count in");
        documents.MapGet("/chunks", Chunks).WithName("ListChunks").WithSummary("Passages in their order");
        documents.MapGet("/events", DocumentEvents.Stream).WithName("StreamDocument").WithSummary("Progress (SSE `status`) until it is indexed or has failed");
        documents.MapPost("/reindex", Reindex).WithName("ReindexDocument").WithSummary("Ingest again; searchable meanwhile as it was");
        documents.MapDelete("", Delete).WithName("DeleteDocument").WithSummary("Delete rows, vectors and file");
    }

    private static async Task<Results<Created<Document>, Ok<Document>, ProblemHttpResult>> Upload(
        Guid collectionId, HttpRequest request, ClaimsPrincipal user, CollectionStore collections, DocumentStore store, DocumentFiles files,
        KnowledgeMetrics metrics, TimeProvider time, IOptions<DocumentOptions> options, CancellationToken cancellationToken)
    {
        var userId = user.UserId();
        if (!await collections.ExistsAsync(userId, collectionId, cancellationToken))
            return Problems.NotFound("collection");

        // The file is counted while it streams in; this is only the outer limit of the body.
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = options.Value.MaxUploadBytes + UploadReader.MultipartOverheadBytes;

        var (upload, error) = await UploadReader.ReadAsync(request, files, cancellationToken);
        if (upload is null)
            return RefuseUpload(error);

        using var file = upload.File;
        if (file.SizeBytes == 0)
            return Refuse(StatusCodes.Status400BadRequest, "empty-file", "The file is empty");

        if (FileType.Detect(upload.Name, file.Head, file.Head.Length == file.SizeBytes, out var refusal) is not { } mediaType)
            return Refuse(StatusCodes.Status415UnsupportedMediaType, "unsupported-file", "This kind of file is not supported", refusal);

        if (await store.AddAsync(userId, collectionId, upload.Name, mediaType, file, files, time.GetUtcNow(), cancellationToken) is not { } added)
            return Problems.NotFound("collection");

        metrics.Uploaded(added.IsNew ? "stored" : "duplicate", added.IsNew ? file.SizeBytes : 0);
        return added.IsNew ? TypedResults.Created($"/api/documents/{added.Document.Id}", added.Document) : TypedResults.Ok(added.Document);

        ProblemHttpResult Refuse(int status, string slug, string title, string? detail = null)
        {
            metrics.Uploaded(slug, 0);
            return Problems.Create(status, slug, title, detail);
        }

        ProblemHttpResult RefuseUpload(UploadError reason) => reason switch
        {
            UploadError.TooLarge => Refuse(StatusCodes.Status413PayloadTooLarge, "too-large", "The file is too large",
                $"A file has at most {options.Value.MaxUploadBytes / (1024 * 1024)} MB."),
            UploadError.NoFile => Refuse(StatusCodes.Status400BadRequest, "invalid-upload", "The upload has no file", "The field 'file' is missing."),
            _ => Refuse(StatusCodes.Status400BadRequest, "invalid-upload", "The upload could not be read",
                "Send the file as multipart/form-data in the field 'file'."),
        };
    }

    private static async Task<Results<Ok<CursorPage<Document>>, ProblemHttpResult>> List(
        Guid collectionId, string? cursor, ClaimsPrincipal user, CollectionStore collections, DocumentStore store,
        CancellationToken cancellationToken, [Range(1, 200)] int limit = 50)
    {
        if (!TryReadCursor(cursor, out var before))
            return BadCursor();

        var userId = user.UserId();
        if (!await collections.ExistsAsync(userId, collectionId, cancellationToken))
            return Problems.NotFound("collection");

        var found = await store.ListAsync(userId, collectionId, before, limit + 1, cancellationToken);
        var page = found.Take(limit).ToList();
        var next = found.Count > limit ? new Cursor(page[^1].CreatedAt, page[^1].Id).Encode() : null;
        return TypedResults.Ok(new CursorPage<Document>(page, next));
    }

    private static async Task<Results<Ok<Document>, ProblemHttpResult>> Get(
        Guid id, ClaimsPrincipal user, DocumentStore store, CancellationToken cancellationToken)
    {
        var document = await store.FindAsync(user.UserId(), id, cancellationToken);
        return document is null ? Problems.NotFound("document") : TypedResults.Ok(document);
    }

    private static async Task<Results<FileStreamHttpResult, ContentHttpResult, ProblemHttpResult>> Content(
        Guid id, [AllowedValues("file", "text", null)] string? @as, HttpResponse response, ClaimsPrincipal user, DocumentStore store, DocumentFiles files,
        CancellationToken cancellationToken)
    {
        // Whatever the file holds, a browser must not make a page of it.
        response.Headers.XContentTypeOptions = "nosniff";
        if (@as == "text")
        {
            var text = await store.ReadTextAsync(user.UserId(), id, cancellationToken);
            return text is null ? Problems.NotFound("text of a document") : TypedResults.Text(text, "text/plain; charset=utf-8");
        }

        var document = await store.FindAsync(user.UserId(), id, cancellationToken);
        if (document is null || !files.Exists(id))
            return Problems.NotFound("document");

        return TypedResults.File(files.OpenRead(id), document.MediaType, document.Name, enableRangeProcessing: true);
    }

    private static async Task<Results<Ok<CursorPage<DocumentChunk>>, ProblemHttpResult>> Chunks(
        Guid id, string? cursor, ClaimsPrincipal user, DocumentStore store, CancellationToken cancellationToken, [Range(1, 200)] int limit = 50)
    {
        if (!TryReadCursor(cursor, out var after))
            return BadCursor();

        var userId = user.UserId();
        if (await store.FindAsync(userId, id, cancellationToken) is null)
            return Problems.NotFound("document");

        // Chunks are ordered by number; the cursor's time carries it.
        var from = (int)Math.Min(after?.Time.UtcTicks ?? 0, int.MaxValue);
        var found = await store.ListChunksAsync(userId, id, from, limit + 1, cancellationToken);
        var page = found.Take(limit).ToList();
        var next = found.Count > limit ? new Cursor(new DateTimeOffset(found[limit].Ordinal, TimeSpan.Zero), id).Encode() : null;
        return TypedResults.Ok(new CursorPage<DocumentChunk>(page, next));
    }

    private static async Task<Results<Accepted<Document>, ProblemHttpResult>> Reindex(
        Guid id, ClaimsPrincipal user, DocumentStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var userId = user.UserId();
        if (!await store.ReindexAsync(userId, id, time.GetUtcNow(), cancellationToken))
            return Problems.NotFound("document");

        var document = await store.FindAsync(userId, id, cancellationToken);
        return document is null ? Problems.NotFound("document") : TypedResults.Accepted($"/api/documents/{id}", document);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> Delete(
        Guid id, ClaimsPrincipal user, DocumentStore store, DocumentFiles files, CancellationToken cancellationToken)
    {
        if (!await store.DeleteAsync(user.UserId(), id, cancellationToken))
            return Problems.NotFound("document");

        files.Delete(id);
        return TypedResults.NoContent();
    }

    private static bool TryReadCursor(string? text, out Cursor? cursor)
    {
        cursor = null;
        if (text is null)
            return true;

        var isOurs = Cursor.TryDecode(text, out var decoded);
        cursor = decoded;
        return isOurs;
    }

    private static ProblemHttpResult BadCursor() => Problems.Create(StatusCodes.Status400BadRequest, "invalid-cursor", "The cursor is not one of ours");
}
