using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Lane = Fleet.Contracts.Inference.V1.Lane;
using ModelKind = Fleet.Contracts.Inference.V1.ModelKind;
using ModelState = Fleet.Contracts.Inference.V1.ModelState;
using ModelStatistics = Fleet.Contracts.Inference.V1.ModelStatistics;

namespace Fleet.Inference.Api;

internal static class ModelMessages
{
    public static Model ToMessage(this ModelSnapshot snapshot)
    {
        var message = new Model
        {
            Id = snapshot.Model.Id,
            Kind = snapshot.Model.Kind switch
            {
                Models.ModelKind.Chat => ModelKind.Chat,
                Models.ModelKind.Embedding => ModelKind.Embedding,
                _ => ModelKind.Reranker,
            },
            State = snapshot.State.ToMessage(),
            Error = snapshot.Error,
            ContextTokens = snapshot.Model.ContextTokens,
            Dimensions = snapshot.Model.Dimensions,
            SizeBytes = snapshot.Model.SizeBytes,
            Architecture = snapshot.Model.Architecture,
            Parameters = snapshot.Model.Parameters,
            BuiltIn = snapshot.Model.BuiltIn,
            IsDefault = snapshot.IsDefault,
            Provider = snapshot.Model.Provider,
            MemoryBytes = snapshot.MemoryBytes,
            Statistics = new ModelStatistics
            {
                Requests = snapshot.Statistics.Requests,
                PromptTokens = snapshot.Statistics.PromptTokens,
                CompletionTokens = snapshot.Statistics.CompletionTokens,
                Failures = snapshot.Statistics.Failures,
                Running = snapshot.Activity.Running,
                Queued = snapshot.Activity.Queued,
                CachedTokens = snapshot.Activity.Gauges?.CachedTokens ?? 0,
                Loads = snapshot.Statistics.Loads,
                LastUsedUnixMilliseconds = snapshot.Statistics.LastUsed?.ToUnixTimeMilliseconds() ?? 0,
            },
        };
        message.Roles.AddRange(snapshot.Roles);
        message.Adapters.AddRange(snapshot.Model.Adapters.Select(adapter => adapter.Id));
        if (snapshot.Model.Created > DateTimeOffset.UnixEpoch)
            message.CreatedUnixSeconds = snapshot.Model.Created.ToUnixTimeSeconds();
        return message;
    }

    public static SequenceStatus ToMessage(this SequenceActivity sequence, string model) => new()
    {
        RequestId = sequence.RequestId,
        Model = model,
        State = sequence.State,
        PromptTokens = sequence.PromptTokens,
        CompletionTokens = sequence.CompletionTokens,
        CachedTokens = sequence.CachedTokens,
        Lane = sequence.Lane == Engine.Lane.Batch ? Lane.Batch : Lane.Interactive,
        AgeMs = sequence.Age.TotalMilliseconds,
        SequenceId = sequence.SequenceId,
    };

    public static EngineStatus ToMessage(this EngineGauges gauges, string model) => new()
    {
        Model = model,
        KvCells = gauges.KvCells,
        KvCellsUsed = gauges.KvCellsUsed,
        KvCellsShared = gauges.KvCellsShared,
        KvCellsCached = gauges.KvCellsCached,
        KvLayout = gauges.KvLayout,
        Sequences = gauges.Sequences,
        DecodeThreads = gauges.DecodeThreads,
        MaxDecodeThreads = gauges.MaxDecodeThreads,
        Preemptions = gauges.Preemptions,
        Steps = gauges.Steps,
        CacheHitRatio = gauges.CacheHitRatio,
        PrefillTokensPerSecond = gauges.PrefillTokensPerSecond,
        DecodeTokensPerSecond = gauges.DecodeTokensPerSecond,
        DraftedTokens = gauges.DraftedTokens,
        AcceptedTokens = gauges.AcceptedTokens,
        EstimatedWaitMs = gauges.EstimatedWait.TotalMilliseconds,
    };

    public static ModelState ToMessage(this Models.ModelState state) => state switch
    {
        Models.ModelState.Loading => ModelState.Loading,
        Models.ModelState.Ready => ModelState.Ready,
        Models.ModelState.Failed => ModelState.Failed,
        _ => ModelState.Installed,
    };
}
