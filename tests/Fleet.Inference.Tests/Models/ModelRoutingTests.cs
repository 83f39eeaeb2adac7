using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Models;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Models;

public sealed class ModelRoutingTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-routing-").FullName;

    [Fact]
    public void Resolve_Id_IsTheModelThenItsFallBacks()
    {
        var routing = Routing(("Models:big:FallBack:0", "small"), ("Models:big:FallBack:1", "role:guard"), ("Models:small:FallBack:0", "other"), ("Roles:guard:0", "judge"));

        Assert.Equal(["big", "small", "judge"], routing.Resolve("big", ModelKind.Chat));
        Assert.Equal(["unknown"], routing.Resolve("unknown", ModelKind.Chat));
    }

    [Fact]
    public void Resolve_Role_IsItsModelsInOrderThenTheirFallBacks()
    {
        var routing = Routing(
            ("Roles:guard:0", "b"), ("Roles:guard:1", "a"), ("Models:c:Roles:0", "Guard"), ("Models:b:FallBack:0", "a"), ("Models:b:FallBack:1", "d"), ("Models:a:FallBack:0", "b"));

        Assert.Equal(["b", "a", "c", "d"], routing.Resolve("role:guard", ModelKind.Chat));
        Assert.Equal(["guard"], routing.RolesOf("c", ModelKind.Chat));
    }

    [Fact]
    public void Resolve_EmptyName_IsTheRoleOfTheKind()
    {
        Assert.Equal(["fleet-extractive"], Routing().Resolve("", ModelKind.Chat));
        Assert.Equal(["fleet-ngram-embedding"], Routing().Resolve("", ModelKind.Embedding));
        Assert.Equal(["configured"], Routing(("DefaultChatModel", "configured")).Resolve("", ModelKind.Chat));
        Assert.Equal(["first", "second"], Routing(("DefaultChatModel", "configured"), ("Roles:chat:0", "first"), ("Roles:chat:1", "second")).Resolve("", ModelKind.Chat));
        Assert.Equal(EngineError.NotSupported, Assert.Throws<EngineException>(() => Routing().Resolve("", ModelKind.Reranker)).Error);
    }

    [Fact]
    public void Resolve_RoleNobodyWasGiven_IsTheDefaultForTextWorkAndRefusedForOthers()
    {
        LlamaModel.Tiny.Save(Path.Combine(_directory, "tiny.gguf"));

        Assert.Equal(["tiny"], Routing().Resolve("role:description", ModelKind.Chat));
        Assert.Equal(["chat"], Routing().RolesOf("tiny", ModelKind.Chat));
        Assert.Equal(EngineError.ModelNotFound, Assert.Throws<EngineException>(() => Routing().Resolve("role:guard", ModelKind.Chat)).Error);
        Assert.Equal(EngineError.ModelNotFound, Assert.Throws<EngineException>(() => Routing().Resolve("role:", ModelKind.Chat)).Error);
    }

    [Fact]
    public void Resolve_ConfiguredInCapitals_IsTheFilesOwnId()
    {
        LlamaModel.Tiny.Save(Path.Combine(_directory, "tiny.gguf"));

        Assert.Equal(["tiny"], Routing(("Models:TINY:Roles:0", "JUDGE")).Resolve("role:judge", ModelKind.Chat));
    }

    [Theory]
    [InlineData("Models:a:ContextTokens", "-5", "Inference:Models:a:ContextTokens is -5")]
    [InlineData("Models:a:MaxSequences", "0", "Inference:Models:a:MaxSequences is 0; it must be between 1 and 256")]
    [InlineData("Models:a:BatchTokens", "1", "BatchTokens is 1")]
    [InlineData("Models:a:GpuLayers", "-2", "GpuLayers is -2")]
    [InlineData("Models:a:FallBack:0", "A", "FallBack names the model itself")]
    [InlineData("Models:a:Roles:0", " ", "Roles names a role without a name")]
    [InlineData("Roles:guard:0", "", "Inference:Roles:guard names a model without a name")]
    public void Options_OutOfRange_AreRefusedByName(string key, string value, string reason) =>
        Assert.Contains(reason, Assert.Throws<OptionsValidationException>(() => Bind((key, value))).Message, StringComparison.Ordinal);

    [Fact]
    public void Options_ThatContradictEachOther_AreRefused()
    {
        Assert.Throws<OptionsValidationException>(() => Bind(("Models:a:ValueType", "Q8_0"), ("Models:a:FlashAttention", "Off")));
        Assert.Throws<OptionsValidationException>(() => Bind(("Models:a:BatchTokens", "16"), ("Models:a:MaxSequences", "16")));
    }

    [Theory]
    [InlineData("KeyType", "Q9")]
    [InlineData("ContextTokens", "many")]
    [InlineData("ContextTokns", "4096")]
    public void Options_MisspeltOrUnreadable_AreRefusedByName(string key, string value)
    {
        var exception = Assert.Throws<OptionsValidationException>(() => Bind(($"Models:a:{key}", value)));

        Assert.Contains("Inference:Models:a", exception.Message, StringComparison.Ordinal);
        Assert.Contains(key, exception.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private ModelRouting Routing(params (string Key, string Value)[] settings)
    {
        var options = Options.Create(Bind([.. settings, ("ModelsDirectory", _directory)]));
        return new ModelRouting(new ModelCatalogue(options, NullLogger<ModelCatalogue>.Instance), new NoLoader(), options);
    }

    // Through configuration and validation, as in the service.
    private static ModelsOptions Bind(params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create<string, string?>($"Inference:{setting.Key}", setting.Value))).Build();
        using var services = new ServiceCollection()
            .AddSingleton<IConfiguration>(configuration)
            .AddModelsOptions()
            .BuildServiceProvider();
        return services.GetRequiredService<IOptions<ModelsOptions>>().Value;
    }

    private sealed class NoLoader : IModelLoader
    {
        public string? Unavailable => null;

        public IModelEngine Load(ModelDescription model, ModelPlan plan, IProgress<float> progress, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
