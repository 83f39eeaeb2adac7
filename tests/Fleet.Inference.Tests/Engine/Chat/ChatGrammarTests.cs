using System.Text.Json;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Engine.Constraints;

namespace Fleet.Inference.Tests.Engine.Chat;

/// <summary>What a format asks of the sampler: the grammar takes what the family writes, from where the template stopped.</summary>
[Collection(nameof(ChatTests))]
public sealed class ChatGrammarTests(ChatFixture chat)
{
    private const string Schema = """{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}""";

    private static readonly Tool Weather = new(
        "get_weather", "The weather of a city", """{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""", Strict: true);

    [Theory]
    [InlineData("Qwen-Qwen2.5-7B-Instruct")]
    [InlineData("Qwen-Qwen3-0.6B")]
    [InlineData("Qwen-QwQ-32B")]
    [InlineData("meta-llama-Llama-3.1-8B-Instruct")]
    [InlineData("google-gemma-2-2b-it")]
    public void RequiredSchema_HoldsFromTheFirstToken(string template)
    {
        chat.RequireTemplates();
        using var format = chat.Format(chat.Source(template));
        var request = Ask() with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, Schema) };
        var prepared = format.Prepare(request);
        Assert.False(prepared.Grammar!.Lazy);
        using var constraint = new ConstraintFactory(chat.Vocabulary).Create(prepared.Grammar);
        var opening = TemplateFamily.All.Single(family => family.Template == template).Opening;

        Assert.True(Accepts(constraint, opening + """{"age": 7}"""));
        var message = new ReadMessage();
        message.Add(prepared.Parser, [opening + """{"age": 7}"""], complete: true);
        Assert.Equal(7, JsonDocument.Parse(message.Content).RootElement.GetProperty("age").GetInt32());

        using var again = new ConstraintFactory(chat.Vocabulary).Create(format.Prepare(request).Grammar!);
        Assert.False(Accepts(again, opening + "I am seven"));
    }

    [Fact]
    public void RequiredCall_HoldsFromTheFirstToken_AutoWaitsForItsTrigger()
    {
        chat.RequireTemplates();
        using var format = chat.Format(chat.Source("Qwen-Qwen2.5-7B-Instruct"));

        var required = format.Prepare(Ask() with { Tools = [Weather], ToolChoice = new ToolChoice(ToolChoiceMode.Required, "get_weather") }).Grammar!;
        var auto = format.Prepare(Ask() with { Tools = [Weather] }).Grammar!;

        Assert.False(required.Lazy);
        Assert.True(auto.Lazy);
        Assert.True(auto.TriggerPatterns.Count + auto.TriggerTokens.Count > 0);
        using var constraint = new ConstraintFactory(chat.Vocabulary).Create(required);
        // Words may come first, but the turn cannot end without the call.
        Assert.True(Accepts(constraint, "I look."));
        Assert.False(constraint.Allows(Fleet.Models.LlamaModel.EndTokens[0]));
    }

    [Fact]
    public void WhatCannotBeAsked_IsRefusedWithTheReason()
    {
        chat.RequireTemplates();
        using var format = chat.Format(chat.Source("Qwen-Qwen2.5-7B-Instruct"));
        using var toolless = chat.Format(chat.Source("google-gemma-2-2b-it"));

        Assert.Equal(EngineError.NotSupported, Refusal(toolless, Ask() with { Tools = [Weather] }).Error);
        Assert.Contains("no tool named other", Refusal(format, Ask() with { Tools = [Weather], ToolChoice = new ToolChoice(ToolChoiceMode.Required, "other") }).Message, StringComparison.Ordinal);
        Assert.Contains("template's own", Refusal(format, Ask() with { TemplateArguments = new Dictionary<string, string> { ["bos_token"] = "\"x\"" } }).Message, StringComparison.Ordinal);
        Assert.Contains("name", Refusal(format, Ask() with { Tools = [Weather with { Name = "a b" }] }).Message, StringComparison.Ordinal);
        Assert.Contains("JSON", Refusal(format, Ask() with { Tools = [Weather with { Parameters = new string('[', 100) }] }).Message, StringComparison.Ordinal);
        Assert.Contains("together", Refusal(format, Ask() with { Tools = [Weather], ResponseFormat = new ResponseFormat(ResponseFormatKind.Grammar, "root ::= \"a\"") }).Message, StringComparison.Ordinal);

        var builtIn = chat.Vocabulary.BuiltInFormat();
        var without = Assert.Throws<EngineException>(() => builtIn.Prepare(Ask() with { Tools = [Weather] }));
        Assert.Equal(EngineError.NotSupported, without.Error);
        Assert.Contains("./fleet doctor", without.Message, StringComparison.Ordinal);
        Assert.NotNull(builtIn.Prepare(Ask() with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonObject) }).Grammar);
    }

    private static EngineException Refusal(JinjaPromptFormat format, GenerationRequest request) => Assert.Throws<EngineException>(() => format.Prepare(request));

    private static GenerationRequest Ask() => new() { RequestId = "r", Messages = [new ChatMessage(ChatRole.User, "How old are you?")] };

    private bool Accepts(ITokenConstraint constraint, string text)
    {
        foreach (var token in chat.Vocabulary.TokenizeContinuation(text))
        {
            if (!constraint.Allows(token))
                return false;
            constraint.Accept(token);
        }

        return true;
    }
}
