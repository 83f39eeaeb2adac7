using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Fleet.Inference.Models.Downloads;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Inference.Api;

/// <summary>Fetching models over HTTP, for administrators.</summary>
internal static class DownloadEndpoints
{
    public static IEndpointRouteBuilder MapDownloads(this IEndpointRouteBuilder endpoints)
    {
        var downloads = endpoints.MapGroup("/api/admin/models/downloads").RequireAuthorization(FleetPolicies.Administrator).WithTags("Models");
        downloads.MapPost("", Start).WithName("StartModelDownload").WithSummary("Download a model; the same one again joins or continues it");
        downloads.MapGet("", List).WithName("ListModelDownloads").WithSummary("Downloads that run, wait or have ended since the start");
        downloads.MapGet("{id}", Get).WithName("GetModelDownload").WithSummary("One download");
        downloads.MapGet("{id}/events", Follow).WithName("FollowModelDownload").WithSummary("One download's progress as it changes");
        downloads.MapDelete("{id}", CancelAsync).WithName("CancelModelDownload").WithSummary("Cancel a download and delete what has arrived");
        return endpoints;
    }

    private static Results<Accepted<ModelDownload>, ProblemHttpResult> Start(StartDownload request, ModelDownloads downloads)
    {
        try
        {
            var started = downloads.Start((request.Source ?? "").Trim(), request.Sha256);
            return TypedResults.Accepted($"/api/admin/models/downloads/{started.Id}", ModelDownload.Of(started));
        }
        catch (DownloadException exception)
        {
            return Problems.Create(StatusCodes.Status422UnprocessableEntity, "download-refused", "The model cannot be downloaded", exception.Message);
        }
    }

    private static Ok<DownloadList> List(ModelDownloads downloads) => TypedResults.Ok(new DownloadList([.. downloads.List().Select(ModelDownload.Of)], null));

    private static Results<Ok<ModelDownload>, ProblemHttpResult> Get(string id, ModelDownloads downloads) =>
        downloads.Find(id) is { } download ? TypedResults.Ok(ModelDownload.Of(download)) : Problems.NotFound("download");

    private static Results<ServerSentEventsResult<ModelDownload>, ProblemHttpResult> Follow(
        string id, ModelDownloads downloads, IHostApplicationLifetime lifetime, CancellationToken cancellationToken) =>
        downloads.Find(id) is null ? Problems.NotFound("download") : TypedResults.ServerSentEvents(EventsAsync(id, downloads, lifetime.ApplicationStopping, cancellationToken));

    private static async IAsyncEnumerable<SseItem<ModelDownload>> EventsAsync(
        string id, ModelDownloads downloads, CancellationToken stopping, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, cancellationToken);
        await using var snapshots = downloads.FollowAsync(id, either.Token).GetAsyncEnumerator(either.Token);
        while (true)
        {
            try
            {
                if (!await snapshots.MoveNextAsync())
                    yield break;
            }
            catch (OperationCanceledException)
            {
                // The reader has gone or the service stops; the download goes on.
                yield break;
            }

            var name = snapshots.Current.Ended ? JsonNamingPolicy.CamelCase.ConvertName(snapshots.Current.State.ToString()) : "progress";
            yield return new SseItem<ModelDownload>(ModelDownload.Of(snapshots.Current), name);
        }
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> CancelAsync(string id, ModelDownloads downloads, CancellationToken cancellationToken) =>
        await downloads.CancelAsync(id, cancellationToken) ? TypedResults.NoContent() : Problems.NotFound("download");

    /// <param name="Source">A recommended model's id, an https address, or owner/repository/file.gguf on the hub.</param>
    /// <param name="Sha256">Refuse the file when its checksum is another.</param>
    internal sealed record StartDownload(string? Source, string? Sha256);

    internal sealed record DownloadList(IReadOnlyList<ModelDownload> Items, string? NextCursor);

    internal sealed record ModelDownload(
        string Id, Uri Source, string FileName, DownloadState State, long BytesDone, long? BytesTotal, int Attempt, string? Error, string? Sha256, DateTimeOffset CreatedAt)
    {
        public static ModelDownload Of(DownloadSnapshot download) => new(
            download.Id, download.Source, download.FileName, download.State, download.BytesDone, download.BytesTotal, download.Attempt, download.Error, download.Sha256, download.CreatedAt);
    }
}
