using Fleet.Inference.Engine;
using Fleet.Inference.Native;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>Loads GGUF files through llama.cpp after validating them in C#.</summary>
internal sealed class LlamaModelLoader(
    NativeLibraries native, IOptions<EngineOptions> options, TimeProvider time, ILoggerFactory loggers) : IModelLoader
{
    // Longer texts gain nothing from being embedded whole, and attention over them costs quadratic memory.
    private const int MaxEmbeddingTokens = 8192;

    private readonly EngineOptions _options = options.Value;

    public string? Unavailable => native.Unavailable;

    public IModelEngine Load(ModelDescription model, IProgress<float> progress, CancellationToken cancellationToken)
    {
        if (model.Kind == ModelKind.Reranker)
            throw new EngineException(EngineError.NotSupported, "Reranking models are not supported yet.");

        var header = GgufReader.Read(model.Path!, full: true);
        GgufValidator.Validate(header);
        var loaded = LoadWeights(model.Path!, progress, cancellationToken);
        try
        {
            return model.Kind == ModelKind.Embedding ? Embedder(model, loaded) : Generator(model, header, loaded);
        }
        catch (LlamaException exception)
        {
            loaded.Dispose();
            throw new EngineException(EngineError.Unavailable, exception.Message, exception);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    private SafeLlamaModel LoadWeights(string path, IProgress<float> progress, CancellationToken cancellationToken)
    {
        try
        {
            return SafeLlamaModel.Load(path, _options.GpuLayers, progress, cancellationToken);
        }
        catch (LlamaException exception)
        {
            throw new EngineException(EngineError.Unavailable, exception.Message, exception);
        }
    }

    private InferenceEngine Generator(ModelDescription model, GgufHeader header, SafeLlamaModel loaded)
    {
        var trained = loaded.TrainedContext;
        var context = _options.ContextTokens == 0 ? trained : Math.Min(_options.ContextTokens, trained);
        var runner = new LlamaModelRunner(loaded, new LlamaContextSettings
        {
            TokensPerSequence = context,
            Sequences = CacheSize.Sequences(header, context, _options.MaxSequences),
            BatchTokens = _options.BatchTokens,
            Threads = _options.EffectiveThreads,
        }, loaded.ChatTemplate);
        return new InferenceEngine(model.Id, runner, _options, time, loggers.CreateLogger<InferenceEngine>());
    }

    private LlamaEmbedder Embedder(ModelDescription model, SafeLlamaModel loaded)
    {
        var context = Math.Min(loaded.TrainedContext, MaxEmbeddingTokens);
        return new LlamaEmbedder(loaded, new LlamaContextSettings
        {
            TokensPerSequence = context,
            Sequences = LlamaEmbedder.TextsPerBatch,
            BatchTokens = context,
            Threads = _options.EffectiveThreads,
            Embeddings = true,
        }, space: $"{model.Id}:{loaded.EmbeddingWidth}", _options.MaxQueuedRequests);
    }
}
