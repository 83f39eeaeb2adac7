using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Engine.Providers;

/// <summary>The OpenAI provider against somebody else's server: llama.cpp's own, where one is running (FLEET_TEST_LLAMA_SERVER=http://host:port/v1/).</summary>
[Trait("needs", "llama-server")]
public sealed class LlamaServerTests
{
    [Fact]
    public async Task AReply_IsStreamedCountedCutAndContinued()
    {
        var address = Environment.GetEnvironmentVariable("FLEET_TEST_LLAMA_SERVER");
        Assert.SkipUnless(address is not null, "FLEET_TEST_LLAMA_SERVER names no server.");
        var provider = new ProviderOptions { BaseAddress = new Uri(address), Extended = true };
        provider.Models.Add(new RemoteModelOptions { Id = "m" });
        using var models = new RemoteModels(Options.Create(new ProvidersOptions { Providers = { ["box"] = provider } }), TimeProvider.System, NullLogger<RemoteModels>.Instance);
        var generator = (ITextGenerator)models.Create(models.Models.Single());
        var request = FakeUpstream.Hello with { MaxTokens = 16, Sampling = new SamplingParameters { Temperature = 0, TopK = 1, MinP = 0, Seed = 1 } };

        var events = await FakeUpstream.AllAsync(generator, request);
        var finished = (GenerationFinished)events[^1];
        Assert.Equal((FinishReason.Length, 16), (finished.Reason, finished.CompletionTokens));
        Assert.True(finished.PromptTokens > 0);
        var text = FakeUpstream.TextOf(events) + FakeUpstream.ReasoningOf(events);

        // Log-probabilities come with their bytes; a reply can be continued; a prompt that is too long is told apart.
        var probable = await FakeUpstream.AllAsync(generator, request with { Logprobs = true, TopLogprobs = 2, MaxTokens = 4 });
        Assert.All(probable.OfType<GenerationDelta>().SelectMany(delta => delta.Logprobs), token => Assert.Equal(2, token.Top.Count));
        Assert.NotEmpty(probable.OfType<GenerationDelta>().SelectMany(delta => delta.Logprobs));
        var continued = await FakeUpstream.AllAsync(generator, request with { ContinueFrom = "The answer is", MaxTokens = 4 });
        Assert.Equal(4, ((GenerationFinished)continued[^1]).CompletionTokens);
        var schema = await FakeUpstream.AllAsync(generator, request with { MaxTokens = 64, ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, """{"type":"object","properties":{"a":{"enum":[1]}},"required":["a"],"additionalProperties":false}""") });
        Assert.Equal("""{"a":1}""", System.Text.Json.Nodes.JsonNode.Parse(FakeUpstream.TextOf(schema))!.ToJsonString());
        var tooLong = await Assert.ThrowsAsync<EngineException>(() => FakeUpstream.AllAsync(generator, request with { Messages = [new ChatMessage(ChatRole.User, string.Concat(Enumerable.Repeat("word ", 20_000)))] }));
        Assert.Equal(EngineError.NotSupported, tooLong.Error);
        TestContext.Current.TestOutputHelper?.WriteLine($"{text.Length} characters; too long: {tooLong.Message}");
    }
}
