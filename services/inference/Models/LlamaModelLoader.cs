using Fleet.Inference.Engine;
using Fleet.Inference.Native;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>Loads GGUF files through llama.cpp after validating them in C#.</summary>
internal sealed class LlamaModelLoader(
    NativeLibraries native, IOptions<EngineOptions> options, TimeProvider time, ILoggerFactory loggers) : IModelLoader
{
    private readonly EngineOptions _options = options.Value;

    public string? Unavailable => native.Unavailable;

    public IModelEngine Load(ModelDescription model, IProgress<float> progress, CancellationToken cancellationToken)
    {
        var header = GgufReader.Read(model.Path!, full: true);
        GgufValidator.Validate(header);
        var loaded = LoadWeights(model.Path!, progress, cancellationToken);
        try
        {
            return model.Kind switch
            {
                ModelKind.Embedding => Embedder(model, loaded),
                ModelKind.Reranker => Reranker(model, header, loaded),
                _ => Generator(model, header, loaded),
            };
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

    private LlamaEmbedder Embedder(ModelDescription model, SafeLlamaModel loaded) => Texts(loaded, runner =>
        new LlamaEmbedder(loaded, model.Id, runner, _options.MaxQueuedRequests, time, loggers.CreateLogger<LlamaEmbedder>()));

    private LlamaReranker Reranker(ModelDescription model, GgufHeader header, SafeLlamaModel loaded) => Texts(loaded, runner =>
        new LlamaReranker(loaded, model, header, runner, _options.MaxQueuedRequests, time, loggers.CreateLogger<LlamaReranker>()));

    private TEngine Texts<TEngine>(SafeLlamaModel loaded, Func<LlamaTextRunner, TEngine> create)
    {
        var runner = new LlamaTextRunner(loaded, _options.BatchTokens, _options.EffectiveThreads);
        try
        {
            return create(runner);
        }
        catch
        {
            runner.Dispose();
            throw;
        }
    }
}
