using System.Text;
using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Engine;
using Google.Protobuf;
using FinishReason = Fleet.Contracts.Inference.V1.FinishReason;
using GenerationDelta = Fleet.Contracts.Inference.V1.GenerationDelta;
using GenerationFinished = Fleet.Contracts.Inference.V1.GenerationFinished;
using GenerationStarted = Fleet.Contracts.Inference.V1.GenerationStarted;
using TokenLogprob = Fleet.Contracts.Inference.V1.TokenLogprob;
using ToolCallDelta = Fleet.Contracts.Inference.V1.ToolCallDelta;

namespace Fleet.Inference.Api;

internal static class GenerationMessages
{
    public static GenerateResponse ToMessage(this GenerationEvent generationEvent, string model, int choice) => generationEvent switch
    {
        Engine.GenerationStarted started => new GenerateResponse
        {
            Started = new GenerationStarted
            {
                Model = model,
                PromptTokens = started.PromptTokens,
                CachedTokens = started.CachedTokens,
                QueueMs = started.Queued.TotalMilliseconds,
            },
        },
        Engine.GenerationDelta delta => new GenerateResponse { Delta = ToMessage(delta, choice) },
        Engine.GenerationFinished finished => new GenerateResponse { Finished = ToMessage(finished, choice) },
        _ => throw new InvalidOperationException($"Unknown event {generationEvent.GetType().Name}."),
    };

    private static GenerationDelta ToMessage(Engine.GenerationDelta delta, int choice)
    {
        var message = new GenerationDelta { Text = delta.Text, Choice = choice, Reasoning = delta.Reasoning };
        if (delta.Raw is not null)
            message.Raw = delta.Raw;
        message.TokenIds.AddRange(delta.TokenIds);
        message.Logprobs.AddRange(delta.Logprobs.Select(ToMessage));
        message.ToolCalls.AddRange(delta.ToolCalls.Select(call => new ToolCallDelta { Index = call.Index, Id = call.Id, Name = call.Name, Arguments = call.Arguments }));
        return message;
    }

    private static TokenLogprob ToMessage(Engine.TokenLogprob logprob)
    {
        var message = new TokenLogprob
        {
            TokenId = logprob.TokenId,
            Token = Encoding.UTF8.GetString(logprob.Bytes.Span),
            TokenBytes = ByteString.CopyFrom(logprob.Bytes.Span),
            Logprob = logprob.Logprob,
        };
        message.Top.AddRange(logprob.Top.Select(ToMessage));
        return message;
    }

    private static GenerationFinished ToMessage(Engine.GenerationFinished finished, int choice) => new()
    {
        Reason = finished.Reason switch
        {
            Engine.FinishReason.Length => FinishReason.Length,
            Engine.FinishReason.ToolCalls => FinishReason.ToolCalls,
            _ => FinishReason.Stop,
        },
        Choice = choice,
        StopSequence = finished.StopSequence,
        Model = finished.Model,
        Usage = new Usage
        {
            PromptTokens = finished.PromptTokens,
            CachedTokens = finished.CachedTokens ?? 0,
            CompletionTokens = finished.CompletionTokens,
            ReasoningTokens = finished.ReasoningTokens,
            DraftedTokens = finished.DraftedTokens,
            AcceptedTokens = finished.AcceptedTokens,
        },
        Timings = new Timings
        {
            QueueMs = finished.Timings.Queued.TotalMilliseconds,
            PrefillMs = finished.Timings.Prefill.TotalMilliseconds,
            DecodeMs = finished.Timings.Decode.TotalMilliseconds,
            TimeToFirstTokenMs = finished.Timings.TimeToFirstToken.TotalMilliseconds,
        },
    };
}
