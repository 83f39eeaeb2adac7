using System.Text;
using Fleet.Contracts.Inference.V1;
using Fleet.Contracts.Knowledge.V1;
using Grpc.Core;

namespace Fleet.Chat.Tests.Fakes;

/// <summary>Ties the services, which the container makes per call, to the engine of their test.</summary>
public sealed class FakeEngineHolder
{
    public FakeEngine Engine { get; set; } = null!;
}

public sealed class FakeInference(FakeEngineHolder holder) : Inference.InferenceBase
{
    private FakeEngine Engine => holder.Engine;

    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateResponse> responseStream, ServerCallContext context)
    {
        Engine.Requests.Enqueue(request);
        Engine.GenerateTokens.Enqueue(context.RequestHeaders.GetValue("authorization"));
        if (request.Model == "no/such") throw new RpcException(new Status(StatusCode.NotFound, "no such model"));
        if (Engine.TryTakeScript(request, out var script))
        {
            await script(request, responseStream, context);
            return;
        }

        var question = request.Messages.Count > 0 ? request.Messages[^1].Content : request.Prompt;
        await FakeEngine.Reply("You said: ", question)(request, responseStream, context);
    }

    public override Task<ListModelsResponse> ListModels(ListModelsRequest request, ServerCallContext context) => Task.FromResult(new ListModelsResponse
    {
        Models =
        {
            new Model { Id = "fake/chat", Kind = ModelKind.Chat, State = ModelState.Ready, IsDefault = true, ContextTokens = Engine.ContextTokens, CreatedUnixSeconds = 1_700_000_000 },
            new Model { Id = "fake/other", Kind = ModelKind.Chat, State = ModelState.Installed, ContextTokens = Engine.ContextTokens },
            new Model { Id = "fake/embed", Kind = ModelKind.Embedding, State = ModelState.Ready, Dimensions = 3 },
        },
    });

    public override Task<EmbedResponse> Embed(EmbedRequest request, ServerCallContext context)
    {
        var response = new EmbedResponse { Model = "fake/embed", Dimensions = 3, PromptTokens = request.Texts.Count, Space = "fake" };
        for (var i = 0; i < request.Texts.Count; i++) response.Embeddings.Add(new Embedding { Values = { i, 0.5f, -1.25f } });
        return Task.FromResult(response);
    }

    public override Task<RerankResponse> Rerank(RerankRequest request, ServerCallContext context)
    {
        var response = new RerankResponse { Model = "fake/rerank", PromptTokens = request.Documents.Count };
        response.Scores.AddRange(request.Documents.Select(document => document.Contains(request.Query, StringComparison.Ordinal) ? 0.9 : 0.1));
        return Task.FromResult(response);
    }

    public override Task<ListCircuitsResponse> ListCircuits(ListCircuitsRequest request, ServerCallContext context) => Task.FromResult(new ListCircuitsResponse
    {
        Circuits =
        {
            new Circuit { Name = "model:fake/chat", State = CircuitState.Closed, ConsecutiveFailures = 1, LastError = "Internal" },
            new Circuit { Name = "upstream:far", State = CircuitState.Open, ConsecutiveFailures = 5, OpenedUnixMilliseconds = 1_700_000_000_000, RetryAfterMs = 30_000, LastError = "Unavailable" },
        },
    });

    public override Task<TokenizeResponse> Tokenize(TokenizeRequest request, ServerCallContext context) =>
        Task.FromResult(new TokenizeResponse { Model = "fake/chat", Count = Encoding.UTF8.GetByteCount(request.Text) / 2 });
}

public sealed class FakeKnowledge(FakeEngineHolder holder) : Knowledge.KnowledgeBase
{
    private FakeEngine Engine => holder.Engine;

    public override Task<SearchResponse> Search(SearchRequest request, ServerCallContext context)
    {
        Engine.Searches.Enqueue(request);
        Engine.SearchTokens.Enqueue(context.RequestHeaders.GetValue("authorization"));
        return Task.FromResult(Engine.OnSearch(request));
    }
}
