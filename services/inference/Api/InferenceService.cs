using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Resilience;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Telemetry;
using Grpc.Core;
using Contract = Fleet.Contracts.Inference.V1.Inference;

namespace Fleet.Inference.Api;

/// <summary>The gRPC face of the engine: reads and checks a request, leases a model, streams what it says. Holds no state.</summary>
internal sealed class InferenceService(
    ModelHost models, ModelCalls calls, CircuitBreakers circuits, NativeLibraries native, InferenceMetrics metrics, TimeProvider time)
    : Contract.InferenceBase
{
    public override Task Generate(GenerateRequest request, IServerStreamWriter<GenerateResponse> responseStream, ServerCallContext context) =>
        GuardAsync(context, async cancellationToken =>
        {
            var choices = RequestReader.ReadChoices(request, context.Deadline);
            await foreach (var reply in calls.GenerateAsync(request.Model, choices, cancellationToken))
                await responseStream.WriteAsync(reply.Event.ToMessage(reply.Model, reply.Choice), cancellationToken);
        });

    public override Task<EmbedResponse> Embed(EmbedRequest request, ServerCallContext context) =>
        GuardAsync(context, async cancellationToken =>
        {
            var texts = RequestReader.Read(request);
            return await calls.CallAsync<ITextEmbedder, EmbedResponse>(request.Model, lease => EmbedAsync(lease, texts, request, cancellationToken), cancellationToken);
        });

    public override Task<RerankResponse> Rerank(RerankRequest request, ServerCallContext context) =>
        GuardAsync(context, async cancellationToken =>
        {
            var documents = RequestReader.Read(request);
            return await calls.CallAsync<ITextReranker, RerankResponse>(request.Model, lease => RerankAsync(lease, documents, request, cancellationToken), cancellationToken);
        });

    public override Task<TokenizeResponse> Tokenize(TokenizeRequest request, ServerCallContext context) =>
        GuardAsync(context, async cancellationToken =>
        {
            using var lease = await models.AcquireAsync<IModelEngine>(request.Model, cancellationToken);
            var tokens = request.Messages.Count > 0 ? lease.Engine.Tokenize(RequestReader.Read(request.Messages), RequestReader.Read(request.Tools)) : lease.Engine.Tokenize(request.Text);
            var response = new TokenizeResponse { Model = lease.Model.Id, Count = tokens.Count };
            response.TokenIds.AddRange(tokens.Ids);
            return response;
        });

    public override Task<ListModelsResponse> ListModels(ListModelsRequest request, ServerCallContext context) =>
        GuardAsync(context, _ =>
        {
            var response = new ListModelsResponse();
            response.Models.AddRange(models.List().Select(model => model.ToMessage()));
            return Task.FromResult(response);
        });

    public override Task LoadModel(LoadModelRequest request, IServerStreamWriter<LoadModelProgress> responseStream, ServerCallContext context) =>
        GuardAsync(context, async cancellationToken =>
        {
            await foreach (var model in models.LoadAsync(request.Model, cancellationToken))
            {
                var progress = new LoadModelProgress { Model = model.Model.Id, State = model.State.ToMessage(), Progress = model.Progress, Error = model.Error };
                await responseStream.WriteAsync(progress, cancellationToken);
            }
        });

    public override Task<UnloadModelResponse> UnloadModel(UnloadModelRequest request, ServerCallContext context) =>
        GuardAsync(context, async cancellationToken =>
        {
            await models.UnloadAsync(request.Model, cancellationToken);
            return new UnloadModelResponse();
        });

    public override Task<GetStatusResponse> GetStatus(GetStatusRequest request, ServerCallContext context) =>
        GuardAsync(context, _ =>
        {
            var snapshots = models.List();
            var response = new GetStatusResponse
            {
                Running = snapshots.Sum(model => model.Activity.Running),
                Queued = snapshots.Sum(model => model.Activity.Queued),
                NativeVersion = native.Version ?? "",
            };
            response.Models.AddRange(snapshots.Select(model => model.ToMessage()));
            response.Devices.AddRange(native.Devices.Select(device => new Device
            {
                Name = device.Name,
                Description = device.Description,
                MemoryFreeBytes = device.MemoryFreeBytes,
                MemoryTotalBytes = device.MemoryTotalBytes,
                IsGpu = device.IsGpu,
            }));
            response.Sequences.AddRange(
                from model in snapshots
                from sequence in model.Activity.Sequences
                select sequence.ToMessage(model.Model.Id));
            response.Engines.AddRange(
                from model in snapshots
                let gauges = model.Activity.Gauges
                where gauges is not null
                select gauges.ToMessage(model.Model.Id));
            return Task.FromResult(response);
        });

    public override Task<ListCircuitsResponse> ListCircuits(ListCircuitsRequest request, ServerCallContext context) =>
        GuardAsync(context, _ =>
        {
            var response = new ListCircuitsResponse();
            response.Circuits.AddRange(circuits.List().Select(circuit => circuit.ToMessage()));
            return Task.FromResult(response);
        });

    private async Task<EmbedResponse> EmbedAsync(ModelLease<ITextEmbedder> lease, IReadOnlyList<string> texts, EmbedRequest request, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var batch = await lease.Engine.EmbedAsync(texts, request.Truncate, RequestReader.Read(request.Caller), cancellationToken);
        lease.Statistics.Completed(batch.PromptTokens, 0);
        metrics.Embedded(lease.Model.Id, batch.PromptTokens, time.GetElapsedTime(started));

        var response = new EmbedResponse
        {
            Model = lease.Model.Id,
            Dimensions = lease.Engine.Dimensions,
            PromptTokens = batch.PromptTokens,
            Space = lease.Engine.Space,
        };
        foreach (var embedding in batch.Embeddings)
        {
            var message = new Embedding { Truncated = embedding.Truncated };
            message.Values.AddRange(embedding.Values);
            response.Embeddings.Add(message);
        }

        return response;
    }

    private async Task<RerankResponse> RerankAsync(
        ModelLease<ITextReranker> lease, IReadOnlyList<string> documents, RerankRequest request, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var batch = await lease.Engine.RerankAsync(request.Query, documents, request.Truncate, RequestReader.Read(request.Caller), cancellationToken);
        lease.Statistics.Completed(batch.PromptTokens, 0);
        metrics.Embedded(lease.Model.Id, batch.PromptTokens, time.GetElapsedTime(started));

        var response = new RerankResponse { Model = lease.Model.Id, PromptTokens = batch.PromptTokens };
        response.Scores.AddRange(batch.Scores);
        return response;
    }

    private async Task GuardAsync(ServerCallContext context, Func<CancellationToken, Task> call) =>
        await GuardAsync(context, async cancellationToken =>
        {
            await call(cancellationToken);
            return true;
        });

    private async Task<T> GuardAsync<T>(ServerCallContext context, Func<CancellationToken, Task<T>> call)
    {
        try
        {
            return await call(context.CancellationToken);
        }
        catch (EngineException exception)
        {
            throw exception.ToRpcException();
        }
        catch (OperationCanceledException) when (context.CancellationToken.IsCancellationRequested)
        {
            throw RpcErrors.Cancelled(context, time);
        }
    }
}
