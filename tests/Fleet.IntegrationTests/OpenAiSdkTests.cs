using System.ClientModel;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using Xunit;

namespace Fleet.IntegrationTests;

/// <summary>The official OpenAI .NET SDK against the gateway, with an API key as a developer would use it.</summary>
public sealed class OpenAiSdkTests(FleetFixture fleet)
{
    [Fact]
    public async Task A_chat_completion_streams()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = (await CreateClientAsync(fleet, user)).GetChatClient(FleetFixture.NativeModel);
        var text = "";
        ChatFinishReason? finish = null;
        ChatTokenUsage? usage = null;

        await foreach (var update in client.CompleteChatStreamingAsync([new UserChatMessage("Hello")], new ChatCompletionOptions { MaxOutputTokenCount = 40 }, TestContext.Current.CancellationToken))
        {
            foreach (var part in update.ContentUpdate) text += part.Text;
            finish ??= update.FinishReason;
            usage ??= update.Usage;
        }

        Assert.NotNull(finish);
        Assert.NotEmpty(text);
        Assert.Equal(40, usage?.OutputTokenCount);
    }

    [Fact]
    public async Task A_chat_completion_comes_whole()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = (await CreateClientAsync(fleet, user)).GetChatClient(FleetFixture.ExtractiveModel);

        var completion = (await client.CompleteChatAsync([new SystemChatMessage("Be brief."), new UserChatMessage("Hello")], cancellationToken: TestContext.Current.CancellationToken)).Value;

        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
        Assert.NotEmpty(completion.Content[0].Text);
        Assert.Equal(completion.Usage.InputTokenCount + completion.Usage.OutputTokenCount, completion.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task Models_are_listed_and_embeddings_computed()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = await CreateClientAsync(fleet, user);

        var models = (await client.GetOpenAIModelClient().GetModelsAsync(TestContext.Current.CancellationToken)).Value;
        var embeddings = (await client.GetEmbeddingClient("fleet-ngram-embedding").GenerateEmbeddingsAsync(["하나", "two"], cancellationToken: TestContext.Current.CancellationToken)).Value;

        Assert.Contains(models, model => model.Id == FleetFixture.NativeModel);
        Assert.Equal(2, embeddings.Count);
        Assert.Equal(1.0, embeddings[0].ToFloats().ToArray().Sum(value => value * value), 3);
    }

    [Fact]
    public async Task A_revoked_key_and_a_wrong_model_are_refused_as_the_sdk_expects()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var chat = (await CreateClientAsync(fleet, user)).GetChatClient("no-such-model");

        var unknown = await Assert.ThrowsAsync<ClientResultException>(() => chat.CompleteChatAsync([new UserChatMessage("Hello")], cancellationToken: TestContext.Current.CancellationToken));
        var wrongKey = new OpenAIClient(new ApiKeyCredential("fk_0123456789abcdef0123456789abcdef"), Options(fleet)).GetChatClient(FleetFixture.ExtractiveModel);
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => wrongKey.CompleteChatAsync([new UserChatMessage("Hello")], cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal(404, unknown.Status);
        Assert.Equal(401, refused.Status);
        Assert.Equal(JsonValueKind.Object, JsonElement.Parse(refused.GetRawResponse()!.Content.ToString()).GetProperty("error").ValueKind);
    }

    internal static async Task<OpenAIClient> CreateClientAsync(FleetFixture fleet, FleetUser user)
    {
        var key = (await user.PostAsync("/api/auth/keys", new { name = "sdk" })).GetProperty("secret").GetString()!;
        Assert.StartsWith("fk_", key, StringComparison.Ordinal);
        return new OpenAIClient(new ApiKeyCredential(key), Options(fleet));
    }

    private static OpenAIClientOptions Options(FleetFixture fleet) => new() { Endpoint = new Uri(fleet.GatewayAddress, "/v1"), RetryPolicy = new System.ClientModel.Primitives.ClientRetryPolicy(0) };
}
