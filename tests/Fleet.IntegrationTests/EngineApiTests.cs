using System.ClientModel;
using System.Net;
using System.Text.Json;
using OpenAI.Chat;
using Xunit;

namespace Fleet.IntegrationTests;

/// <summary>
/// What the engine can do, asked for as a developer would: by the official OpenAI SDK at the gateway. The model's weights are random, so
/// whatever is well formed in its answers was made so by the engine.
/// </summary>
public sealed class EngineApiTests(FleetFixture fleet)
{
    private const string Schema = """
        {"type":"object","properties":{"city":{"enum":["서울","Bonn"]},"rain":{"type":"boolean"},"degrees":{"type":"integer","minimum":-40,"maximum":50}},
         "required":["city","rain","degrees"],"additionalProperties":false}
        """;

    [Fact]
    public async Task A_schema_is_kept_by_a_model_that_knows_nothing()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = await ClientAsync(user);
        var options = new ChatCompletionOptions { Temperature = 1.5f, MaxOutputTokenCount = 400, ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("weather", BinaryData.FromString(Schema), jsonSchemaIsStrict: true) };

        for (var attempt = 0; attempt < 3; attempt++)
        {
            var completion = (await client.CompleteChatAsync([new UserChatMessage("Weather?")], options, TestContext.Current.CancellationToken)).Value;

            Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
            var answer = JsonDocument.Parse(completion.Content[0].Text).RootElement;
            Assert.Contains(answer.GetProperty("city").GetString(), (string[])["서울", "Bonn"]);
            Assert.True(answer.GetProperty("rain").ValueKind is JsonValueKind.True or JsonValueKind.False);
            Assert.InRange(answer.GetProperty("degrees").GetInt32(), -40, 50);
        }
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}}""", "uniqueItems")]
    [InlineData("""{"$ref":"https://example.test/schema.json"}""", "$ref")]
    [InlineData("""{"type":"object","not":{"type":"string"}}""", "not")]
    public async Task A_schema_the_engine_cannot_keep_is_refused_with_its_path(string schema, string named)
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = await ClientAsync(user);
        var options = new ChatCompletionOptions { ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("x", BinaryData.FromString(schema)) };

        var refused = await Assert.ThrowsAsync<ClientResultException>(() => client.CompleteChatAsync([new UserChatMessage("x")], options, TestContext.Current.CancellationToken));

        Assert.Equal((int)HttpStatusCode.BadRequest, refused.Status);
        Assert.Contains(named, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tools_are_refused_by_a_model_whose_template_has_none()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = await ClientAsync(user);
        var options = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("weather", "The weather of a city", BinaryData.FromString(Schema)) } };

        var refused = await Assert.ThrowsAsync<ClientResultException>(() => client.CompleteChatAsync([new UserChatMessage("Weather in Seoul?")], options, TestContext.Current.CancellationToken));

        Assert.Equal((int)HttpStatusCode.BadRequest, refused.Status);
        Assert.Contains("template has no tools", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_second_of_two_like_prompts_comes_from_the_cache()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = await ClientAsync(user);
        var system = new SystemChatMessage(string.Concat(Enumerable.Range(0, 40).Select(index => $"Rule {index} of {user.Name}. ")));
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 4 };

        var first = (await client.CompleteChatAsync([system, new UserChatMessage("one")], options, TestContext.Current.CancellationToken)).Value;
        var second = (await client.CompleteChatAsync([system, new UserChatMessage("two")], options, TestContext.Current.CancellationToken)).Value;

        Assert.True(first.Usage.InputTokenDetails.CachedTokenCount < first.Usage.InputTokenCount / 2);
        Assert.True(second.Usage.InputTokenDetails.CachedTokenCount > second.Usage.InputTokenCount * 3 / 4,
            $"{second.Usage.InputTokenDetails.CachedTokenCount} of {second.Usage.InputTokenCount}");
    }

    [Fact]
    public async Task Log_probabilities_name_the_likeliest_tokens()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var client = await ClientAsync(user);

        var completion = (await client.CompleteChatAsync([new UserChatMessage("x")],
            new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 5, IncludeLogProbabilities = true, TopLogProbabilityCount = 3 }, TestContext.Current.CancellationToken)).Value;

        Assert.NotEmpty(completion.ContentTokenLogProbabilities);
        Assert.All(completion.ContentTokenLogProbabilities, token =>
        {
            Assert.Equal(3, token.TopLogProbabilities.Count);
            Assert.Equal(token.LogProbability, token.TopLogProbabilities[0].LogProbability, 1e-4);
        });
    }

    private async Task<ChatClient> ClientAsync(FleetUser user) => (await OpenAiSdkTests.CreateClientAsync(fleet, user)).GetChatClient(FleetFixture.NativeModel);
}
