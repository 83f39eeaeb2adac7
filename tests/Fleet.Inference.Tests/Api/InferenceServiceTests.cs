using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Native;
using Fleet.Models;
using Grpc.Core;

namespace Fleet.Inference.Tests.Api;

public sealed class InferenceServiceTests(InferenceFixture fixture) : IClassFixture<InferenceFixture>
{
    private static readonly GenerateRequest Question = new()
    {
        RequestId = "r",
        Messages = { new ChatMessage { Role = Role.User, Content = "보증 기간은 얼마인가요?" } },
        Passages = { new Passage { Number = 3, Title = "설명서", Text = "제품 보증 기간은 2년입니다. 소모품은 제외됩니다.", Score = 0.9 } },
    };

    [Fact]
    public async Task Generate_BuiltIn_StreamsStartedDeltasFinished()
    {
        using var call = fixture.Client.Generate(Question);

        var events = await call.ResponseStream.ReadAllAsync().ToListAsync();

        Assert.Equal("fleet-extractive", events[0].Started.Model);
        Assert.All(events[1..^1], message => Assert.NotNull(message.Delta));
        Assert.Contains("제품 보증 기간은 2년입니다. [3]", string.Concat(events[1..^1].Select(message => message.Delta.Text)), StringComparison.Ordinal);
        Assert.Equal(FinishReason.Stop, events[^1].Finished.Reason);
        Assert.True(events[^1].Finished.Usage.CompletionTokens > 0);
    }

    [Fact]
    public async Task Generate_WithoutOrWithForeignToken_IsRefused()
    {
        foreach (var token in (string?[])[null, fixture.Tokens.Foreign(Guid.NewGuid()), fixture.Tokens.Expired(Guid.NewGuid())])
        {
            using var call = fixture.ClientWith(token).Generate(Question);

            var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));

            Assert.Equal(StatusCode.Unauthenticated, exception.StatusCode);
        }
    }

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task Generate_BadRequest_IsInvalidArgumentNamingTheField(GenerateRequest request, string field)
    {
        using var call = fixture.Client.Generate(request);

        var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(StatusCode.InvalidArgument, exception.StatusCode);
        Assert.Contains(field, exception.Status.Detail, StringComparison.Ordinal);
    }

    public static TheoryData<GenerateRequest, string> BadRequests => new()
    {
        { new GenerateRequest(), "messages" },
        { new GenerateRequest { Prompt = "a", Messages = { new ChatMessage { Role = Role.User } } }, "messages" },
        { new GenerateRequest { Messages = { new ChatMessage { Content = "no role" } } }, "messages" },
        { new GenerateRequest { Prompt = "a", MaxTokens = -1 }, "max_tokens" },
        { new GenerateRequest { Prompt = "a", Stop = { "" } }, "stop" },
        { new GenerateRequest { Prompt = "a", TopLogprobs = 21 }, "top_logprobs" },
        { new GenerateRequest { Prompt = "a", Sampling = new SamplingParameters { Temperature = float.NaN } }, "temperature" },
        { new GenerateRequest { Prompt = "a", Sampling = new SamplingParameters { TopP = 2 } }, "top_p" },
    };

    [Fact]
    public async Task Generate_UnknownModel_IsNotFoundAndEmbedderIsFailedPrecondition()
    {
        Assert.Equal(StatusCode.NotFound, await StatusOfAsync("none"));
        Assert.Equal(StatusCode.FailedPrecondition, await StatusOfAsync("fleet-ngram-embedding"));
    }

    [Theory]
    [InlineData("broken", "GGUF")]
    [InlineData("no-layers", "layers")]
    public async Task Generate_BrokenFile_IsUnavailableAndTheServiceLives(string model, string reason)
    {
        RequireLibraries();
        using var call = fixture.Client.Generate(new GenerateRequest { Model = model, Prompt = "a" });

        var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(StatusCode.Unavailable, exception.StatusCode);
        Assert.Contains(reason, exception.Status.Detail, StringComparison.Ordinal);
        var listed = (await fixture.Client.ListModelsAsync(new ListModelsRequest())).Models.Single(entry => entry.Id == model);
        Assert.Equal(ModelState.Failed, listed.State);
        Assert.Contains(reason, listed.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Generate_Llama_LoadsOnFirstUseAndUnloads()
    {
        RequireLibraries();
        var request = new GenerateRequest { Model = "tiny-llama", Prompt = "hello", MaxTokens = 8, Sampling = new SamplingParameters { Temperature = 0 } };

        var replies = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => TextOfAsync(request)));
        await fixture.Client.UnloadModelAsync(new UnloadModelRequest { Model = "tiny-llama" });
        var state = (await fixture.Client.ListModelsAsync(new ListModelsRequest())).Models.Single(model => model.Id == "tiny-llama");

        Assert.All(replies, reply => Assert.Equal(replies[0], reply));
        Assert.Equal(ModelState.Installed, state.State);
        Assert.True(state.Statistics.Requests >= 4);
        Assert.Equal(replies[0], await TextOfAsync(request));
    }

    [Fact]
    public async Task Generate_DeadlinePasses_IsDeadlineExceededAndNothingRuns()
    {
        RequireLibraries();
        var request = new GenerateRequest { Model = "tiny-llama", Prompt = "hello" };
        request.Sampling = new SamplingParameters();
        foreach (var token in LlamaModel.EndTokens)
            request.Sampling.LogitBias[token] = -100;
        await TextOfAsync(new GenerateRequest { Model = "tiny-llama", Prompt = "warm", MaxTokens = 1 });
        using var call = fixture.Client.Generate(request, deadline: DateTime.UtcNow.AddMilliseconds(1));

        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await call.ResponseStream.MoveNext(CancellationToken.None))
            {
            }
        });

        Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        await Testing.Eventually.TrueAsync(async () => (await fixture.Client.GetStatusAsync(new GetStatusRequest())).Running == 0);
    }

    [Fact]
    public async Task Generate_PromptBeyondContext_IsFailedPrecondition()
    {
        RequireLibraries();
        using var call = fixture.Client.Generate(new GenerateRequest { Model = "tiny-llama", Prompt = new string('z', 400) });

        var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(StatusCode.FailedPrecondition, exception.StatusCode);
    }

    [Fact]
    public async Task Embed_DefaultAndInstalled_ReturnTheirSpaces()
    {
        var builtIn = await fixture.Client.EmbedAsync(new EmbedRequest { Texts = { "안녕하세요", "hello" } });

        Assert.Equal(("fleet-ngram-embedding", "fleet-ngram-v1", 512, 2), (builtIn.Model, builtIn.Space, builtIn.Dimensions, builtIn.Embeddings.Count));

        RequireLibraries();
        var bert = await fixture.Client.EmbedAsync(new EmbedRequest { Model = "tiny-bert", Texts = { "hello" } });

        Assert.Equal(("tiny-bert:64", 64), (bert.Space, bert.Dimensions));
    }

    [Fact]
    public async Task Embed_EmptyText_IsInvalidArgument()
    {
        var exception = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Client.EmbedAsync(new EmbedRequest { Texts = { "a", "" } }));

        Assert.Equal(StatusCode.InvalidArgument, exception.StatusCode);
    }

    [Fact]
    public async Task Rerank_WithoutReranker_IsFailedPrecondition()
    {
        var exception = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Client.RerankAsync(new RerankRequest { Query = "q", Documents = { "d" } }));

        Assert.Equal(StatusCode.FailedPrecondition, exception.StatusCode);
    }

    [Fact]
    public async Task Tokenize_CountsForBuiltInAndInstalledModels()
    {
        Assert.Equal(4, (await fixture.Client.TokenizeAsync(new TokenizeRequest { Text = "hello 세계" })).Count);

        RequireLibraries();
        var counted = await fixture.Client.TokenizeAsync(new TokenizeRequest { Model = "tiny-llama", Text = "hello world" });
        Assert.Equal(counted.Count, counted.TokenIds.Count);
    }

    [Fact]
    public async Task LoadModel_ReportsUntilReady()
    {
        RequireLibraries();
        using var call = fixture.Client.LoadModel(new LoadModelRequest { Model = "tiny-bert" });

        var progress = await call.ResponseStream.ReadAllAsync().ToListAsync();

        Assert.Equal(ModelState.Ready, progress[^1].State);
        Assert.Equal(1, progress[^1].Progress);
    }

    [Fact]
    public async Task GetStatus_SaysWhichEngineAndDevices()
    {
        RequireLibraries();
        var status = await fixture.Client.GetStatusAsync(new GetStatusRequest());

        Assert.StartsWith(NativeLibraries.PinnedVersion, status.NativeVersion, StringComparison.Ordinal);
        Assert.NotEmpty(status.Devices);
        Assert.Single(status.Models, model => model is { IsDefault: true, Kind: ModelKind.Chat });
    }

    [Fact]
    public async Task ListCircuits_AfterAReply_ShowsTheModelsCircuitClosed()
    {
        await TextOfAsync(Question);

        var circuits = (await fixture.Client.ListCircuitsAsync(new ListCircuitsRequest())).Circuits;

        Assert.Equal((CircuitState.Closed, 0), circuits.Where(circuit => circuit.Name == "model:fleet-extractive").Select(circuit => (circuit.State, circuit.ConsecutiveFailures)).Single());
    }

    private static void RequireLibraries() =>
        Assert.SkipUnless(Directory.Exists(new NativeOptions().NativeLibraryDirectory), "llama.cpp is not installed; ./fleet test installs it.");

    private async Task<StatusCode> StatusOfAsync(string model)
    {
        using var call = fixture.Client.Generate(new GenerateRequest { Model = model, Prompt = "a" });
        return (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None))).StatusCode;
    }

    private async Task<string> TextOfAsync(GenerateRequest request)
    {
        using var call = fixture.Client.Generate(request);
        return string.Concat((await call.ResponseStream.ReadAllAsync().ToListAsync()).Select(message => message.Delta?.Text));
    }
}
