using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Models;
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
            Statistics = new ModelStatistics
            {
                Requests = snapshot.Statistics.Requests,
                PromptTokens = snapshot.Statistics.PromptTokens,
                CompletionTokens = snapshot.Statistics.CompletionTokens,
                Failures = snapshot.Statistics.Failures,
                Running = snapshot.Activity.Running,
                Queued = snapshot.Activity.Queued,
            },
        };
        if (snapshot.Model.Created > DateTimeOffset.UnixEpoch)
            message.CreatedUnixSeconds = snapshot.Model.Created.ToUnixTimeSeconds();
        return message;
    }

    public static ModelState ToMessage(this Models.ModelState state) => state switch
    {
        Models.ModelState.Loading => ModelState.Loading,
        Models.ModelState.Ready => ModelState.Ready,
        Models.ModelState.Failed => ModelState.Failed,
        _ => ModelState.Installed,
    };
}
