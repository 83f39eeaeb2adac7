using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Inference.Api;

/// <summary>Administration of models over HTTP.</summary>
internal static class ModelEndpoints
{
    public static IEndpointRouteBuilder MapModels(this IEndpointRouteBuilder endpoints)
    {
        var models = endpoints.MapGroup("/api/admin/models").RequireAuthorization(FleetPolicies.Administrator).WithTags("Models");
        models.MapGet("", List).WithName("ListAdminModels").WithSummary("Installed and recommended models");
        models.MapPost("rescan", Rescan).WithName("RescanModels").WithSummary("Look at the models directory now");
        models.MapPost("{id}/load", LoadAsync).WithName("LoadModel").WithSummary("Load a model and wait until it is ready");
        models.MapPost("{id}/unload", UnloadAsync).WithName("UnloadModel").WithSummary("Free a model's memory once its requests have ended");
        models.MapDelete("{id}", DeleteAsync).WithName("DeleteModel").WithSummary("Unload a model and delete its files");
        return endpoints;
    }

    private static Ok<ModelList> List(ModelHost models, IModelLoader loader) => TypedResults.Ok(ModelList.Of(models.List(), loader.Unavailable));

    private static Ok<ModelList> Rescan(ModelHost models, ModelCatalogue catalogue, IModelLoader loader)
    {
        catalogue.Rescan();
        return List(models, loader);
    }

    private static async Task<Results<Ok<InstalledModel>, ProblemHttpResult>> LoadAsync(string id, ModelHost models, CancellationToken cancellationToken)
    {
        try
        {
            var last = default(ModelSnapshot);
            await foreach (var snapshot in models.LoadAsync(id, cancellationToken))
                last = snapshot;
            return last is { State: ModelState.Ready }
                ? TypedResults.Ok(InstalledModel.Of(last))
                : Problems.Create(StatusCodes.Status422UnprocessableEntity, "model-failed", "The model could not be loaded", last?.Error);
        }
        catch (EngineException exception)
        {
            return ToProblem(exception);
        }
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> UnloadAsync(string id, ModelHost models, CancellationToken cancellationToken)
    {
        try
        {
            await models.UnloadAsync(id, cancellationToken);
            return TypedResults.NoContent();
        }
        catch (EngineException exception)
        {
            return ToProblem(exception);
        }
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string id, ModelHost models, CancellationToken cancellationToken)
    {
        try
        {
            return await models.DeleteAsync(id, cancellationToken) ? TypedResults.NoContent() : Problems.NotFound("model");
        }
        catch (EngineException exception)
        {
            return ToProblem(exception);
        }
    }

    private static ProblemHttpResult ToProblem(EngineException exception) => exception.Error switch
    {
        EngineError.ModelNotFound => Problems.NotFound("model"),
        EngineError.NotSupported => Problems.Create(StatusCodes.Status409Conflict, "model-built-in", "This model is part of Fleet", exception.Message),
        _ => Problems.Create(StatusCodes.Status409Conflict, "model-busy", "The model is busy", exception.Message),
    };

    /// <param name="Native">Null when models can be loaded, else why not.</param>
    internal sealed record ModelList(IReadOnlyList<InstalledModel> Installed, IReadOnlyList<OfferedModel> Recommended, string? Native)
    {
        public static ModelList Of(IReadOnlyList<ModelSnapshot> models, string? native) => new(
            [.. models.Select(InstalledModel.Of)],
            [.. RecommendedModels.All.Select(model => new OfferedModel(model, models.Any(installed => IsFileOf(installed, model))))],
            native);

        private static bool IsFileOf(ModelSnapshot installed, RecommendedModel model) =>
            string.Equals(Path.GetFileName(installed.Model.Path), model.File, StringComparison.OrdinalIgnoreCase);
    }

    internal sealed record OfferedModel(RecommendedModel Model, bool Installed);

    internal sealed record InstalledModel(
        string Id, ModelKind Kind, ModelState State, string? Error, float Progress, bool IsDefault, bool BuiltIn, string Architecture, long Parameters,
        int ContextTokens, int Dimensions, long SizeBytes, long Requests, long PromptTokens, long CompletionTokens, long Failures, int Running, int Queued,
        long MemoryBytes, IReadOnlyList<string> Roles, long Loads, DateTimeOffset? LastUsed, long CachedTokens, IReadOnlyList<string> Adapters)
    {
        public static InstalledModel Of(ModelSnapshot snapshot) => new(
            snapshot.Model.Id, snapshot.Model.Kind, snapshot.State, snapshot.Error.Length > 0 ? snapshot.Error : null, snapshot.Progress, snapshot.IsDefault,
            snapshot.Model.BuiltIn, snapshot.Model.Architecture, snapshot.Model.Parameters, snapshot.Model.ContextTokens, snapshot.Model.Dimensions,
            snapshot.Model.SizeBytes, snapshot.Statistics.Requests, snapshot.Statistics.PromptTokens, snapshot.Statistics.CompletionTokens,
            snapshot.Statistics.Failures, snapshot.Activity.Running, snapshot.Activity.Queued,
            snapshot.MemoryBytes, snapshot.Roles, snapshot.Statistics.Loads, snapshot.Statistics.LastUsed, snapshot.Activity.Gauges?.CachedTokens ?? 0,
            [.. snapshot.Model.Adapters.Select(adapter => adapter.Id)]);
    }
}
