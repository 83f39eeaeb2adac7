using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Fleet.Chat.Tests.Fakes;
using Fleet.Contracts.Inference.V1;
using Fleet.Testing;
using Grpc.Core;

namespace Fleet.Chat.Tests.OpenAi;

/// <summary>What clients depend on byte by byte.</summary>
public sealed class OpenAiWireTests : IAsyncLifetime
{
    private readonly ChatFixture _chat = new();

    public async ValueTask InitializeAsync()
    {
        _chat.Overrides["Runs:KeepAliveInterval"] = "00:00:00.200";
        await _chat.InitializeAsync();
    }

    public ValueTask DisposeAsync() => _chat.DisposeAsync();

    [Fact]
    public async Task The_stream_is_data_frames_in_the_order_clients_enforce()
    {
        _chat.Engine.Scripts.Enqueue(FakeEngine.Reply("a", "b"));

        var text = await StreamAsync("""{"model":"fake/chat","messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true}}""");

        var frames = text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.All(frames, frame => Assert.StartsWith("data: ", frame, StringComparison.Ordinal));
        Assert.Equal("data: [DONE]", frames[^1]);
        var chunks = frames[..^1].Select(frame => JsonNode.Parse(frame[6..])!.AsObject()).ToList();
        Assert.Single(chunks.Select(chunk => (string?)chunk["id"]).Distinct());
        Assert.Single(chunks.Select(chunk => (long)chunk["created"]!).Distinct());
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", (string?)chunk["object"]));
        Assert.Equal("""{"role":"assistant","content":""}""", chunks[0]["choices"]![0]!["delta"]!.ToJsonString());
        Assert.Equal(["a", "b"], chunks[1..3].Select(chunk => (string?)chunk["choices"]![0]!["delta"]!["content"]));
        Assert.All(chunks[..3], chunk => Assert.Null(chunk["choices"]![0]!["finish_reason"]));
        Assert.Equal("{}", chunks[3]["choices"]![0]!["delta"]!.ToJsonString());
        Assert.Equal("stop", (string?)chunks[3]["choices"]![0]!["finish_reason"]);
        Assert.All(chunks[..4], chunk => Assert.True(chunk.ContainsKey("usage") && chunk["usage"] is null));
        Assert.Empty(chunks[4]["choices"]!.AsArray());
        Assert.Equal(2, (int)chunks[4]["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Silence_is_filled_with_comments()
    {
        var held = new HeldReply();
        _chat.Engine.Scripts.Enqueue(held.RunAsync);
        using var request = Post("/v1/chat/completions", """{"messages":[{"role":"user","content":"x"}],"stream":true}""");
        using var response = await _chat.CreatePerson().Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());

        while (await reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(10)) is { } line && line != ": ping") Assert.False(line.StartsWith("id:", StringComparison.Ordinal));
        held.Send("late");
        held.Finish();

        Assert.EndsWith("data: [DONE]\n\n", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_in_the_middle_is_an_error_frame_not_an_empty_success()
    {
        for (var i = 0; i < 4; i++) _chat.Engine.Scripts.Enqueue(FakeEngine.Break(StatusCode.DataLoss, i == 0 ? ["a"] : []));

        var text = await StreamAsync("""{"messages":[{"role":"user","content":"x"}],"stream":true}""");

        Assert.Contains("\"error\":{\"message\":", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_that_goes_cancels_and_what_was_used_is_settled()
    {
        var person = _chat.CreatePerson();
        var held = new HeldReply();
        _chat.Engine.Scripts.Enqueue(held.RunAsync);
        using (var request = Post("/v1/chat/completions", """{"messages":[{"role":"user","content":"x"}],"stream":true}"""))
        using (var response = await person.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            held.Send("a");
            while (await reader.ReadLineAsync() is { } line && !line.Contains("\"content\":\"a\"", StringComparison.Ordinal)) continue;
        }

        await held.Cancelled.WaitAsync(TimeSpan.FromSeconds(10));
        await Eventually.TrueAsync(async () => (long)(await _chat.Database.ScalarAsync(
            "select count(*) from outbox_messages where type = 'ReplyCompleted' and payload->>'finishReason' = 'cancelled' or payload->>'FinishReason' = 'cancelled'"))! == 1);
    }

    [Fact]
    public async Task Parameters_reach_the_engine()
    {
        using var response = await SendAsync("/v1/chat/completions", """
            {"model":"fake/chat","max_tokens":9,"max_completion_tokens":11,"temperature":0,"top_p":0.5,"seed":7,"stop":["a","b"],
             "frequency_penalty":0.5,"presence_penalty":-0.5,"logit_bias":{"5":-100},"logprobs":true,"top_logprobs":3,"user":"u","store":false,
             "metadata":{},"some_future_field":[1],"n":1,"response_format":{"type":"text"},"tools":[],
             "messages":[{"role":"developer","content":"dev"},{"role":"user","content":[{"type":"text","text":"one "},{"type":"text","text":"two"}]},
                         {"role":"assistant","content":"ok","tool_calls":[]},{"role":"user","content":"three"}]}
            """);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var call = _chat.Engine.Requests.Last();
        Assert.Equal(11, call.MaxTokens);
        Assert.Equal(0f, call.Sampling.Temperature);
        Assert.Equal(7u, call.Sampling.Seed);
        Assert.Equal(-100f, call.Sampling.LogitBias[5]);
        Assert.Equal(["a", "b"], call.Stop);
        Assert.True(call.Logprobs);
        Assert.Equal(3, call.TopLogprobs);
        Assert.Equal(["dev", "one two", "ok", "three"], call.Messages.Select(m => m.Content));
        Assert.Equal(Role.System, call.Messages[0].Role);
        Assert.True(response.Headers.Contains("x-request-id"));
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"n":17}""", "n")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":{}}""", "tools")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]}""", "tools[0].function")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"retrieval"}]}""", "tools[0].type")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]}""", "tools[0].function.parameters")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tool_choice":"required"}""", "tool_choice")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"function","function":{"name":"absent"}}}""", "tool_choice")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"functions":[{"name":"f"}]}""", "functions")]
    [InlineData("""{"messages":[{"role":"tool","content":"x"}]}""", "messages[0].tool_call_id")]
    [InlineData("""{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function"}]}]}""", "messages[0].tool_calls[0].function")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema"}}""", "response_format.json_schema.schema")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"xml"}}""", "response_format.type")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"},"grammar":"root ::= \"a\""}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"reasoning_effort":"enormous"}""", "reasoning_effort")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"mirostat":3}""", "mirostat")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"temperature":"hot"}""", "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"temperature":3}""", "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"max_tokens":0}""", "max_tokens")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"stop":[""]}""", "stop")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"top_logprobs":2}""", "top_logprobs")]
    [InlineData("""{"messages":[]}""", "messages")]
    [InlineData("""{}""", "messages")]
    [InlineData("""{"messages":[{"role":"robot","content":"x"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"user"}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", "messages[0].content[0].type")]
    [InlineData("""{"messages":"x"}""", "messages")]
    [InlineData("""{"messages":[{"role":"user","content":"half \ud83d a pair"}]}""", "messages[0].content")]
    [InlineData("""not json""", null)]
    [InlineData("""[]""", null)]
    [InlineData("", null)]
    public async Task What_would_change_the_meaning_is_refused_by_name(string body, string? param)
    {
        using var response = await SendAsync("/v1/chat/completions", body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = (await ChatPerson.ReadAsync(response))["error"]!;
        Assert.Equal("invalid_request_error", (string?)error["type"]);
        Assert.Equal(param, (string?)error["param"]);
        Assert.NotEmpty((string?)error["message"] ?? "");
    }

    [Fact]
    public async Task Documents_come_back_in_the_order_of_their_relevance()
    {
        using var response = await SendAsync("/v1/rerank", """{"query":"바다","documents":["산",{"text":"바다와 섬"},"강"],"top_n":2,"return_documents":true}""");
        var body = await ChatPerson.ReadAsync(response);

        Assert.Equal([1, 0], body["results"]!.AsArray().Select(result => (int)result!["index"]!));
        Assert.Equal("바다와 섬", (string?)body["results"]![0]!["document"]!["text"]);
        Assert.Equal(3, (int)body["usage"]!["total_tokens"]!);
    }

    [Theory]
    [InlineData("""{"documents":["a"]}""", "query")]
    [InlineData("""{"query":"a"}""", "documents")]
    [InlineData("""{"query":"a","documents":[]}""", "documents")]
    [InlineData("""{"query":"a","documents":["b",""]}""", "documents[1]")]
    [InlineData("""{"query":"a","documents":["b"],"top_n":0}""", "top_n")]
    public async Task A_rerank_that_makes_no_sense_is_refused_by_name(string body, string param)
    {
        using var response = await SendAsync("/v1/rerank", body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(param, (string?)(await ChatPerson.ReadAsync(response))["error"]!["param"]);
    }

    [Theory]
    [InlineData("/v1/no-such-route", "GET", HttpStatusCode.NotFound)]
    [InlineData("/v1/chat/completions", "DELETE", HttpStatusCode.MethodNotAllowed)]
    [InlineData("/v1/models/no/such", "GET", HttpStatusCode.NotFound)]
    public async Task Errors_of_the_framework_have_the_same_shape(string path, string method, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await _chat.CreatePerson().Http.SendAsync(request);
        using var anonymous = await _chat.CreateAnonymous().GetAsync("/v1/models");

        Assert.Equal(status, response.StatusCode);
        Assert.NotNull((await ChatPerson.ReadAsync(response))["error"]!["message"]);
        Assert.True(response.Headers.Contains("x-request-id"));
        Assert.Equal(HttpStatusCode.Unauthorized, anonymous.StatusCode);
        Assert.Equal("invalid_api_key", (string?)(await ChatPerson.ReadAsync(anonymous))["error"]!["code"]);
    }

    [Fact]
    public async Task Embeddings_come_as_numbers_or_base64_and_refuse_other_widths()
    {
        using var floats = await SendAsync("/v1/embeddings", """{"input":"a"}""");
        using var base64 = await SendAsync("/v1/embeddings", """{"input":["a"],"encoding_format":"base64"}""");
        using var width = await SendAsync("/v1/embeddings", """{"input":"a","dimensions":2}""");
        using var format = await SendAsync("/v1/embeddings", """{"input":"a","encoding_format":"hex"}""");
        using var empty = await SendAsync("/v1/embeddings", """{"input":[]}""");
        using var tokens = await SendAsync("/v1/embeddings", """{"input":[1,2]}""");

        Assert.Equal(-1.25, (double)(await ChatPerson.ReadAsync(floats))["data"]![0]!["embedding"]![2]!);
        Assert.Equal(12, Convert.FromBase64String((string)(await ChatPerson.ReadAsync(base64))["data"]![0]!["embedding"]!).Length);
        Assert.Equal("dimensions", (string?)(await ChatPerson.ReadAsync(width))["error"]!["param"]);
        Assert.Equal("encoding_format", (string?)(await ChatPerson.ReadAsync(format))["error"]!["param"]);
        Assert.Equal("input", (string?)(await ChatPerson.ReadAsync(empty))["error"]!["param"]);
        Assert.Equal("input", (string?)(await ChatPerson.ReadAsync(tokens))["error"]!["param"]);
    }

    [Fact]
    public async Task Text_completions_use_the_prompt_as_it_is()
    {
        using var response = await SendAsync("/v1/completions", """{"prompt":"Once","max_tokens":3}""");
        var body = await ChatPerson.ReadAsync(response);

        Assert.Equal("text_completion", (string?)body["object"]);
        Assert.Equal("You said: Once", (string?)body["choices"]![0]!["text"]);
        Assert.Equal("Once", _chat.Engine.Requests.Last().Prompt);
    }

    private async Task<string> StreamAsync(string body)
    {
        using var response = await SendAsync("/v1/chat/completions", body);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return await response.Content.ReadAsStringAsync();
    }

    private async Task<HttpResponseMessage> SendAsync(string path, string body)
    {
        using var request = Post(path, body);
        return await _chat.CreatePerson().Http.SendAsync(request);
    }

    private static HttpRequestMessage Post(string path, string body) =>
        new(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
}
