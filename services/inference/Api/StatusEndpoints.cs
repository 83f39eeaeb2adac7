using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Fleet.Inference.Api;

/// <summary>What every engine, sequence and device is doing now, for administrators. Counts and states only: nobody's text.</summary>
internal static class StatusEndpoints
{
    public static IEndpointRouteBuilder MapStatus(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/api/admin/models/status", Get).RequireAuthorization(FleetPolicies.Administrator).WithTags("Models")
            .WithName("GetInferenceStatus").WithSummary("Engines, sequences and devices now");
        return endpoints;
    }

    private static Ok<InferenceStatus> Get(ModelHost models, NativeLibraries native)
    {
        var snapshots = models.List();
        return TypedResults.Ok(new InferenceStatus(
            snapshots.Sum(model => model.Activity.Running),
            snapshots.Sum(model => model.Activity.Queued),
            native.Version,
            native.Devices,
            [.. from model in snapshots let gauges = model.Activity.Gauges where gauges is not null select EngineView.Of(model.Model.Id, gauges)],
            [.. from model in snapshots from sequence in model.Activity.Sequences select SequenceView.Of(model.Model.Id, sequence)]));
    }

    /// <param name="NativeVersion">llama.cpp's release; null while its libraries are absent.</param>
    internal sealed record InferenceStatus(
        int Running, int Queued, string? NativeVersion, IReadOnlyList<NativeDevice> Devices, IReadOnlyList<EngineView> Engines, IReadOnlyList<SequenceView> Sequences);

    internal sealed record EngineView(
        string Model, string KvLayout, int KvCells, int KvCellsUsed, int KvCellsShared, int KvCellsCached, int Sequences, int DecodeThreads, int MaxDecodeThreads,
        long Preemptions, long Steps, double CacheHitRatio, double PrefillTokensPerSecond, double DecodeTokensPerSecond, long DraftedTokens, long AcceptedTokens, double EstimatedWaitMs)
    {
        public static EngineView Of(string model, EngineGauges gauges) => new(
            model, gauges.KvLayout, gauges.KvCells, gauges.KvCellsUsed, gauges.KvCellsShared, gauges.KvCellsCached, gauges.Sequences, gauges.DecodeThreads, gauges.MaxDecodeThreads,
            gauges.Preemptions, gauges.Steps, gauges.CacheHitRatio, gauges.PrefillTokensPerSecond, gauges.DecodeTokensPerSecond, gauges.DraftedTokens, gauges.AcceptedTokens,
            gauges.EstimatedWait.TotalMilliseconds);
    }

    internal sealed record SequenceView(
        string RequestId, string Model, string State, int SequenceId, string Lane, int PromptTokens, int CachedTokens, int CompletionTokens, double AgeMs)
    {
        public static SequenceView Of(string model, SequenceActivity sequence) => new(
            sequence.RequestId, model, sequence.State, sequence.SequenceId, sequence.Lane == Engine.Lane.Batch ? "batch" : "interactive",
            sequence.PromptTokens, sequence.CachedTokens, sequence.CompletionTokens, sequence.Age.TotalMilliseconds);
    }
}
