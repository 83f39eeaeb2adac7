using Fleet.Inference.Engine.Providers;
using Fleet.Inference.Models;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class ProvidersOptionsTests
{
    [Fact]
    public void Configuration_MakesModels()
    {
        var options = Bind(
            ("openai:Type", "OpenAi"), ("openai:ApiKey", "sk-x"), ("openai:Models:0:Id", "gpt"), ("openai:Models:0:ContextTokens", "128000"),
            ("openai:Models:1:Id", "embed/small"), ("openai:Models:1:Kind", "Embedding"), ("openai:Models:1:Dimensions", "256"),
            ("next-door:Type", "Ollama"), ("next-door:Models:0:Id", "qwen3:8b"));
        using var models = new RemoteModels(Options.Create(options), TimeProvider.System, NullLogger<RemoteModels>.Instance);

        Assert.Empty(Problems(options));
        Assert.Equal(["next-door/qwen3:8b", "openai/embed/small", "openai/gpt"], models.Models.Select(model => model.Id));
        Assert.Equal(("openai", "openai", 128_000, ModelKind.Chat, false), (models.Models[2].Provider, models.Models[2].Upstream, models.Models[2].ContextTokens, models.Models[2].Kind, models.Models[2].BuiltIn));
        Assert.Equal("https://api.openai.com/v1/", options.Providers["openai"].Address.AbsoluteUri);
    }

    [Theory]
    [InlineData("BaseAddress", "ftp://x/", "BaseAddress must be")]
    [InlineData("BaseAddress", "https://user:secret-word@x/", "without user")]
    [InlineData("BaseAddress", "http://far.example/", "plain HTTP")]
    [InlineData("ApiKey", "secret-word\nx", "ApiKey holds")]
    [InlineData("Timeout", "00:00:00", "Timeout must be")]
    [InlineData("MaxConcurrentCalls", "0", "MaxConcurrentCalls must be")]
    [InlineData("Type", "Anthropic", "no embedding models")]
    [InlineData("Models:0:UpstreamId", "../files?x", "UpstreamId is not")]
    [InlineData("Models:0:Id", "", "Id must be")]
    [InlineData("Models:0:Dimensions", "0", "Dimensions must be")]
    [InlineData("Models:1:Id", "e", "names a model twice")]
    public void WhatCannotWork_IsRefusedAtStartWithoutTellingSecrets(string key, string value, string says)
    {
        var problems = Problems(Bind(("p:ApiKey", "secret-word"), ("p:Models:0:Id", "e"), ("p:Models:0:Kind", "Embedding"), ("p:Models:0:Dimensions", "4"), ($"p:{key}", value)));

        Assert.Contains(problems, problem => problem.Contains(says, StringComparison.Ordinal));
        Assert.DoesNotContain(problems, problem => problem.Contains("secret-word", StringComparison.Ordinal));
    }

    private static IEnumerable<string> Problems(ProvidersOptions options) => new ProvidersOptionsValidator().Validate(null, options).Failures ?? [];

    private static ProvidersOptions Bind(params (string Key, string Value)[] settings)
    {
        var options = new ProvidersOptions();
        new ConfigurationBuilder().AddInMemoryCollection(settings.GroupBy(setting => setting.Key).Select(setting => KeyValuePair.Create<string, string?>($"Inference:Providers:{setting.Key}", setting.Last().Value)))
            .Build().GetSection(ProvidersOptions.SectionName).Bind(options);
        return options;
    }
}
