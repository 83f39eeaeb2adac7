using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text;
using Fleet.Chat.Tests.Fakes;
using Fleet.Contracts.Inference.V1;
using OpenAI;
using OpenAI.Chat;

namespace Fleet.Chat.Tests.OpenAi;

/// <summary>Tools, formats, reasoning and several choices: what the official SDK sends reaches the engine, and what the engine says reaches the SDK.</summary>
public sealed class OpenAiToolTests(ChatFixture chat) : IClassFixture<ChatFixture>
{
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool("weather", "The weather of a city",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""), functionSchemaIsStrict: true);

    private ChatClient Chat() => new("fake/chat", new ApiKeyCredential(chat.CreatePerson().Token),
        new OpenAIClientOptions { Endpoint = new Uri(chat.Address, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

    [Fact]
    public async Task Two_calls_come_whole_and_their_answers_go_back()
    {
        chat.Engine.Scripts.Enqueue(TwoCalls);
        var options = new ChatCompletionOptions { Tools = { Weather }, ToolChoice = ChatToolChoice.CreateRequiredChoice() };
        ChatCompletion completion = await Chat().CompleteChatAsync([new UserChatMessage("weather?")], options);

        Assert.Equal(ChatFinishReason.ToolCalls, completion.FinishReason);
        Assert.Equal([("call_1", "weather", """{"city":"서울"}"""), ("call_2", "weather", """{"city":"Bonn"}""")],
            completion.ToolCalls.Select(call => (call.Id, call.FunctionName, call.FunctionArguments.ToString())));
        var asked = chat.Engine.Requests.Last();
        Assert.Equal(("weather", true), (asked.Tools[0].Name, asked.Tools[0].Strict));
        Assert.Contains("\"city\"", asked.Tools[0].Parameters, StringComparison.Ordinal);
        Assert.Equal(ToolChoiceMode.Required, asked.ToolChoice.Mode);
        Assert.True(asked.ParallelToolCalls);

        ChatCompletion answer = await Chat().CompleteChatAsync(
            [new UserChatMessage("weather?"), new AssistantChatMessage(completion), new ToolChatMessage("call_1", "rain"), new ToolChatMessage("call_2", "sun")], options);

        Assert.Equal("You said: sun", answer.Content[0].Text);
        var history = chat.Engine.Requests.Last().Messages;
        Assert.Equal(("call_1", "weather", """{"city":"서울"}"""), (history[1].ToolCalls[0].Id, history[1].ToolCalls[0].Name, history[1].ToolCalls[0].Arguments));
        Assert.Equal((Role.Tool, "call_1", "rain"), (history[2].Role, history[2].ToolCallId, history[2].Content));
    }

    [Fact]
    public async Task Calls_stream_by_index_with_the_id_first()
    {
        chat.Engine.Scripts.Enqueue(TwoCalls);
        var calls = new SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)>();
        ChatFinishReason? reason = null;
        await foreach (var update in Chat().CompleteChatStreamingAsync([new UserChatMessage("weather?")], new ChatCompletionOptions { Tools = { Weather }, AllowParallelToolCalls = false }))
        {
            reason ??= update.FinishReason;
            foreach (var call in update.ToolCallUpdates)
            {
                if (call.ToolCallId is { Length: > 0 }) calls[call.Index] = (call.ToolCallId, call.FunctionName, new StringBuilder());
                if (call.FunctionArgumentsUpdate is { } arguments && arguments.ToMemory().Length > 0) calls[call.Index].Arguments.Append(arguments);
            }
        }

        Assert.Equal(ChatFinishReason.ToolCalls, reason);
        Assert.Equal([("call_1", """{"city":"서울"}"""), ("call_2", """{"city":"Bonn"}""")], calls.Values.Select(call => (call.Id, call.Arguments.ToString())));
        Assert.False(chat.Engine.Requests.Last().ParallelToolCalls);
    }

    [Fact]
    public async Task A_schema_reaches_the_engine_as_it_was_written()
    {
        const string Schema = """{"type":"object","properties":{"이름":{"type":"string"}},"additionalProperties":false}""";
        await Chat().CompleteChatAsync([new UserChatMessage("x")],
            new ChatCompletionOptions { ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("person", BinaryData.FromString(Schema), jsonSchemaIsStrict: true) });
        Assert.Equal(Schema, chat.Engine.Requests.Last().ResponseFormat.JsonSchema);

        await Chat().CompleteChatAsync([new UserChatMessage("x")], new ChatCompletionOptions { ResponseFormat = ChatResponseFormat.CreateJsonObjectFormat() });
        Assert.True(chat.Engine.Requests.Last().ResponseFormat.JsonObject);
    }

    [Fact]
    public async Task Choices_share_a_prompt_and_end_one_by_one()
    {
        chat.Engine.Scripts.Enqueue(async (request, stream, _) =>
        {
            await FakeEngine.StartedAsync(request, stream);
            await stream.WriteAsync(new GenerateResponse { Delta = new GenerationDelta { Choice = 1, Text = "b", TokenIds = { 1 } } });
            await stream.WriteAsync(new GenerateResponse { Delta = new GenerationDelta { Choice = 0, Text = "a", TokenIds = { 1 } } });
            await stream.WriteAsync(Ended(1, FinishReason.Length, 2));
            await stream.WriteAsync(Ended(0, FinishReason.Stop, 3));
        });

        using var response = await SendAsync("""{"messages":[{"role":"user","content":"x"}],"n":2}""");
        var body = await ChatPerson.ReadAsync(response);

        Assert.Equal(["a", "b"], body["choices"]!.AsArray().Select(choice => (string)choice!["message"]!["content"]!));
        Assert.Equal(["stop", "length"], body["choices"]!.AsArray().Select(choice => (string)choice!["finish_reason"]!));
        Assert.Equal((7, 5, 12), ((int)body["usage"]!["prompt_tokens"]!, (int)body["usage"]!["completion_tokens"]!, (int)body["usage"]!["total_tokens"]!));
        Assert.Equal(2, chat.Engine.Requests.Last().Choices);
    }

    [Fact]
    public async Task Thinking_comes_apart_from_the_answer_and_goes_on_after_a_break()
    {
        chat.Engine.Scripts.Enqueue(async (request, stream, _) =>
        {
            await FakeEngine.StartedAsync(request, stream);
            await stream.WriteAsync(new GenerateResponse { Delta = new GenerationDelta { Reasoning = "hm", Raw = "<think>hm", TokenIds = { 1 } } });
            throw new Grpc.Core.RpcException(new Grpc.Core.Status(Grpc.Core.StatusCode.Unavailable, "as the test wants it"));
        });
        var again = new TaskCompletionSource<string>();
        chat.Engine.Scripts.Enqueue(async (request, stream, _) =>
        {
            again.TrySetResult(request.ContinueFrom);
            await FakeEngine.StartedAsync(request, stream);
            await stream.WriteAsync(new GenerateResponse { Delta = new GenerationDelta { Text = "yes", Raw = "</think>yes", TokenIds = { 1 } } });
            await FakeEngine.FinishAsync(stream, 2);
        });

        using var response = await SendAsync("""{"messages":[{"role":"user","content":"x"}],"reasoning_effort":"high"}""");
        var message = (await ChatPerson.ReadAsync(response))["choices"]![0]!["message"]!;

        Assert.Equal(("hm", "yes"), ((string)message["reasoning_content"]!, (string)message["content"]!));
        Assert.Equal("<think>hm", await again.Task);
        Assert.Equal("high", chat.Engine.Requests.Last().Reasoning.Effort);
    }

    [Fact]
    public async Task Samplers_beyond_the_standard_reach_the_engine()
    {
        using var response = await SendAsync("""
            {"messages":[{"role":"user","content":"x"}],"top_k":5,"min_p":0.1,"typical_p":0.9,"repeat_penalty":1.1,"repeat_last_n":-1,"mirostat":2,"mirostat_tau":4,
             "mirostat_eta":0.2,"dry_multiplier":0.8,"dry_base":2,"dry_allowed_length":3,"dry_penalty_last_n":64,"dry_sequence_breakers":["\n"],"xtc_probability":0.5,
             "xtc_threshold":0.2,"grammar":"root ::= [a-z]+"}
            """);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var call = chat.Engine.Requests.Last();
        Assert.Equal((5, 0.1f, 0.9f, 1.1f, -1), (call.Sampling.TopK, call.Sampling.MinP, call.Sampling.TypicalP, call.Sampling.RepetitionPenalty, call.Sampling.PenaltyLastN));
        Assert.Equal((2, 4f, 0.2f), (call.Sampling.Mirostat, call.Sampling.MirostatTau, call.Sampling.MirostatEta));
        Assert.Equal((0.8f, 2f, 3, 64), (call.Sampling.DryMultiplier, call.Sampling.DryBase, call.Sampling.DryAllowedLength, call.Sampling.DryPenaltyLastN));
        Assert.Equal((0.5f, 0.2f), (call.Sampling.XtcProbability, call.Sampling.XtcThreshold));
        Assert.Equal("root ::= [a-z]+", call.ResponseFormat.Grammar);
    }

    private static async Task TwoCalls(GenerateRequest request, Grpc.Core.IServerStreamWriter<GenerateResponse> stream, Grpc.Core.ServerCallContext context)
    {
        await FakeEngine.StartedAsync(request, stream);
        await CallAsync(new ToolCallDelta { Index = 0, Id = "call_1", Name = "weather" });
        await CallAsync(new ToolCallDelta { Index = 0, Arguments = """{"city":""" });
        await CallAsync(new ToolCallDelta { Index = 0, Arguments = "\"서울\"}" });
        await CallAsync(new ToolCallDelta { Index = 1, Id = "call_2", Name = "weather", Arguments = """{"city":"Bonn"}""" });
        await stream.WriteAsync(Ended(0, FinishReason.ToolCalls, 9));

        Task CallAsync(ToolCallDelta call) => stream.WriteAsync(new GenerateResponse { Delta = new GenerationDelta { TokenIds = { 1 }, ToolCalls = { call } } });
    }

    private static GenerateResponse Ended(int choice, FinishReason reason, int tokens) => new()
    {
        Finished = new GenerationFinished { Choice = choice, Reason = reason, Usage = new Usage { PromptTokens = 7, CachedTokens = 2, CompletionTokens = tokens }, Timings = new Timings() },
    };

    private async Task<HttpResponseMessage> SendAsync(string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        return await chat.CreatePerson().Http.SendAsync(request);
    }
}
