using System.Text.Json;
using Fleet.Inference.Engine;
using Fleet.Models;

namespace Fleet.Inference.Tests.Native;

/// <summary>Template, grammar, sampler, real forward passes and parser together: random weights, so only the engine can make the answers well formed.</summary>
[Collection(nameof(NativeTests))]
public sealed class StructuredReplyTests(NativeFixture native)
{
    private const string Schema = """
        {"type":"object","properties":{"city":{"enum":["서울","Bonn"]},"rain":{"type":"boolean"},"degrees":{"type":"integer","minimum":-40,"maximum":50}},
         "required":["city","rain","degrees"],"additionalProperties":false}
        """;

    // ChatML with tools as the Hermes family writes them; the wording is ours.
    private const string ToolTemplate = """
        {%- if tools %}{{ '<|im_start|>system\nYou may call these functions:\n<tools>' }}{% for tool in tools %}{{ '\n' + (tool | tojson) }}{% endfor %}
        {{- '\n</tools>\nA call is written as\n<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call><|im_end|>\n' }}{% endif -%}
        {%- for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}
        {%- if message.content %}{{ message.content }}{% endif %}
        {%- if message.tool_calls %}{% for call in message.tool_calls %}{{ '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}{{ call.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}{% endif %}
        {{- '<|im_end|>\n' }}{% endfor -%}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
        """;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task JsonSchema_FromTheChatPath_IsKept(bool neverEnds)
    {
        (LlamaModel.Tiny with { NeverEnds = neverEnds }).Save(native.PathOf("structured"));
        await using var engine = native.ChatGenerator("structured");

        for (uint seed = 0; seed < 10; seed++)
        {
            var reply = await ReplyAsync(engine, Ask("Weather?", seed) with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, Schema) });

            Assert.Equal(FinishReason.Stop, reply.Finished.Reason);
            using var answer = JsonDocument.Parse(reply.Text);
            Assert.InRange(answer.RootElement.GetProperty("degrees").GetInt32(), -40, 50);
            Assert.Contains(answer.RootElement.GetProperty("city").GetString(), (string[])["서울", "Bonn"]);
        }
    }

    [Fact]
    public async Task RequiredTool_IsCalledWithArgumentsThatFit()
    {
        // Words may come before a call, and random weights would never stop saying them: the attempt goes on where an earlier one began the call.
        const string Begun = "<tool_call>\n";
        (LlamaModel.Tiny with { Template = ToolTemplate }).Save(native.PathOf("tools"));
        await using var engine = native.ChatGenerator("tools", options => options.ContextTokens = 2048);
        var tool = new Tool("weather", "The weather", Schema, Strict: true);

        for (uint seed = 0; seed < 5; seed++)
        {
            var reply = await ReplyAsync(engine, Ask("Weather?", seed) with { Tools = [tool], ToolChoice = new ToolChoice(ToolChoiceMode.Required), ContinueFrom = Begun });

            // The family's grammar allows any number of calls; the request allows one.
            Assert.Equal(FinishReason.ToolCalls, reply.Finished.Reason);
            var calls = reply.Deltas.SelectMany(delta => delta.ToolCalls).ToList();
            Assert.All(calls, call => Assert.Equal(0, call.Index));
            Assert.Equal("weather", calls[0].Name);
            Assert.NotEmpty(calls[0].Id);
            using var arguments = JsonDocument.Parse(string.Concat(calls.Select(call => call.Arguments)));
            Assert.Contains(arguments.RootElement.GetProperty("city").GetString(), (string[])["서울", "Bonn"]);
        }
    }

    [Fact]
    public async Task StrictTool_WithWhatCannotBeEnforced_IsRefusedWithItsPath()
    {
        (LlamaModel.Tiny with { Template = ToolTemplate }).Save(native.PathOf("strict-tools"));
        await using var engine = native.ChatGenerator("strict-tools", options => options.ContextTokens = 2048);
        const string Unique = """{"type":"object","properties":{"names":{"type":"array","items":{"type":"string"},"uniqueItems":true}}}""";

        var refused = await Assert.ThrowsAsync<EngineException>(() => ReplyAsync(engine, Ask("x", 1) with { Tools = [new Tool("f", "", Unique, Strict: true)] }));

        Assert.Equal(EngineError.InvalidRequest, refused.Error);
        Assert.Contains("uniqueItems", refused.Message, StringComparison.Ordinal);
        Assert.Contains("names", refused.Message, StringComparison.Ordinal);
    }

    private static async Task<(string Text, List<GenerationDelta> Deltas, GenerationFinished Finished)> ReplyAsync(InferenceEngine engine, GenerationRequest request)
    {
        var events = await engine.GenerateAsync(request, TestContext.Current.CancellationToken).ToListAsync(CancellationToken.None);
        var deltas = events.OfType<GenerationDelta>().ToList();
        return (string.Concat(deltas.Select(delta => delta.Text)), deltas, (GenerationFinished)events[^1]);
    }

    private static GenerationRequest Ask(string question, uint seed) => new()
    {
        RequestId = "structured",
        Messages = [new ChatMessage(ChatRole.User, question)],
        MaxTokens = 700,
        Sampling = new SamplingParameters { Temperature = 1.5f, Seed = seed },
    };
}
