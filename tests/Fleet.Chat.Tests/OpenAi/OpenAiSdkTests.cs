using System.ClientModel;
using System.ClientModel.Primitives;
using Fleet.Chat.Tests.Fakes;
using Grpc.Core;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace Fleet.Chat.Tests.OpenAi;

/// <summary>The official .NET SDK against the real routes.</summary>
public sealed class OpenAiSdkTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    private OpenAIClientOptions Options => new() { Endpoint = new Uri(chat.Address, "/v1"), RetryPolicy = new ClientRetryPolicy(0) };

    private ChatClient Chat() => new("fake/chat", new ApiKeyCredential(chat.CreatePerson().Token), Options);

    [Fact]
    public async Task A_completion_comes_whole()
    {
        ChatCompletion completion = await Chat().CompleteChatAsync([new SystemChatMessage("be brief"), new UserChatMessage("hello")],
            new ChatCompletionOptions { Temperature = 0.2f, MaxOutputTokenCount = 20 });

        Assert.Equal("You said: hello", completion.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
        Assert.Equal("fake/chat", completion.Model);
        Assert.Equal((7, 2, 9), (completion.Usage.InputTokenCount, completion.Usage.OutputTokenCount, completion.Usage.TotalTokenCount));
        var request = chat.Engine.Requests.Last();
        Assert.Equal(20, request.MaxTokens);
        Assert.Equal(0.2f, request.Sampling.Temperature);
    }

    [Fact]
    public async Task A_completion_streams_with_its_usage_at_the_end()
    {
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("안", "녕", "하세요"));

        var text = "";
        ChatFinishReason? reason = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in Chat().CompleteChatStreamingAsync([new UserChatMessage("hello")]))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            reason ??= update.FinishReason;
            usage ??= update.Usage;
        }

        Assert.Equal("안녕하세요", text);
        Assert.Equal(ChatFinishReason.Stop, reason);
        Assert.Equal(3, usage?.OutputTokenCount);
    }

    [Fact]
    public async Task A_stream_that_breaks_in_the_middle_goes_on()
    {
        chat.Engine.Scripts.Enqueue(FakeEngine.Break(StatusCode.Unavailable, "a", "b"));
        chat.Engine.Scripts.Enqueue(FakeEngine.Reply("a", "b", "c"));

        var text = "";
        await foreach (var update in Chat().CompleteChatStreamingAsync([new UserChatMessage("hello")]))
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));

        Assert.Equal("abc", text);
    }

    [Fact]
    public async Task A_busy_engine_is_a_429_an_unknown_model_a_404_and_a_bad_key_a_401()
    {
        chat.Engine.Scripts.Enqueue(FakeEngine.Refuse(StatusCode.ResourceExhausted, 1500));
        var busy = await Assert.ThrowsAsync<ClientResultException>(() => Chat().CompleteChatAsync([new UserChatMessage("hi")]));
        var unknown = await Assert.ThrowsAsync<ClientResultException>(() =>
            new ChatClient("no/such", new ApiKeyCredential(chat.CreatePerson().Token), Options).CompleteChatAsync([new UserChatMessage("hi")]));
        var stranger = await Assert.ThrowsAsync<ClientResultException>(() =>
            new ChatClient("fake/chat", new ApiKeyCredential("fk_nonsense"), Options).CompleteChatAsync([new UserChatMessage("hi")]));

        Assert.Equal(429, busy.Status);
        Assert.True(busy.GetRawResponse()!.Headers.TryGetValue("retry-after-ms", out var wait));
        Assert.Equal("1500", wait);
        Assert.Equal(404, unknown.Status);
        Assert.Contains("model_not_found", unknown.Message, StringComparison.Ordinal);
        Assert.Equal(401, stranger.Status);
        Assert.Contains("invalid_api_key", stranger.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Embeddings_keep_their_order_and_values()
    {
        var client = new EmbeddingClient("fake/embed", new ApiKeyCredential(chat.CreatePerson().Token), Options);

        OpenAIEmbeddingCollection embeddings = await client.GenerateEmbeddingsAsync(["first", "두번째"]);

        Assert.Equal([0f, 0.5f, -1.25f], embeddings[0].ToFloats().ToArray());
        Assert.Equal([1f, 0.5f, -1.25f], embeddings[1].ToFloats().ToArray());
        Assert.Equal(2, embeddings.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task Models_are_listed_and_found_by_an_id_with_a_slash()
    {
        var client = new OpenAIModelClient(new ApiKeyCredential(chat.CreatePerson().Token), Options);

        OpenAIModelCollection models = await client.GetModelsAsync();
        OpenAIModel model = await client.GetModelAsync("fake/chat");

        Assert.Contains(models, m => m.Id == "fake/embed");
        Assert.Equal("fake/chat", model.Id);
        Assert.Equal("fleet", model.OwnedBy);
    }
}
