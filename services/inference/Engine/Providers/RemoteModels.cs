using Fleet.Inference.Models;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Engine.Providers;

/// <summary>The configured providers and their models. One client per provider, for all its models.</summary>
internal sealed class RemoteModels : IRemoteModels, IDisposable
{
    private readonly Dictionary<string, (UpstreamClient Client, ProviderOptions Provider, RemoteModelOptions Model)> _models = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;
    private readonly ILogger<RemoteModels> _logger;

    public RemoteModels(IOptions<ProvidersOptions> options, TimeProvider time, ILogger<RemoteModels> logger)
    {
        (_time, _logger) = (time, logger);
        foreach (var (name, provider) in options.Value.Providers)
        {
            var client = new UpstreamClient(name, provider, time, logger);
            foreach (var model in provider.Models)
                _models.Add($"{name}/{model.Id}", (client, provider, model));
        }

        Models = [.. _models.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => new ModelDescription
        {
            Id = entry.Key,
            Kind = entry.Value.Model.Kind,
            Provider = entry.Value.Provider.Type.ToString().ToLowerInvariant(),
            Upstream = entry.Value.Client.Name,
            Architecture = "remote",
            ContextTokens = entry.Value.Model.ContextTokens,
            Dimensions = entry.Value.Model.Kind == ModelKind.Embedding ? entry.Value.Model.Dimensions : 0,
        })];
    }

    public IReadOnlyList<ModelDescription> Models { get; }

    public IModelEngine Create(ModelDescription model)
    {
        var (client, provider, options) = _models[model.Id];
        return model.Kind switch
        {
            ModelKind.Chat => new RemoteGenerator(model.Id, Protocol(provider, options), client, _time, _logger),
            ModelKind.Embedding => new RemoteEmbedder(model.Id, EmbeddingProtocol.Of(provider.Type), options, client),
            _ => new RemoteReranker(options, client),
        };
    }

    public void Dispose()
    {
        foreach (var client in _models.Values.Select(entry => entry.Client).Distinct())
            client.Dispose();
    }

    private static ChatProtocol Protocol(ProviderOptions provider, RemoteModelOptions model) => provider.Type switch
    {
        ProviderType.Anthropic => new AnthropicProtocol(model),
        ProviderType.Gemini => new GeminiProtocol(model),
        ProviderType.Ollama => new OllamaProtocol(model),
        _ => new OpenAiProtocol(model, provider.Extended),
    };
}
