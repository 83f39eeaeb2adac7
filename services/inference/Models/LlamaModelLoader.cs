using Fleet.Inference.Engine;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>Loads GGUF files through llama.cpp after validating them in C#.</summary>
internal sealed class LlamaModelLoader(
    NativeLibraries native, TimeProvider time, ILoggerFactory loggers) : IModelLoader
{
    // Longer texts gain nothing from being embedded whole, and attention over them costs quadratic memory.
    private const int MaxEmbeddingTokens = 8192;

    public string? Unavailable => native.Unavailable;

    public IModelEngine Load(ModelDescription model, ModelPlan plan, IProgress<float> progress, CancellationToken cancellationToken)
    {
        if (model.Kind == ModelKind.Reranker)
            throw new EngineException(EngineError.NotSupported, "Reranking models are not supported yet.");

        var header = GgufReader.Read(model.Path!, full: true);
        GgufValidator.Validate(header);
        var loaded = LoadWeights(model.Path!, plan.GpuLayers, progress, cancellationToken);
        try
        {
            return model.Kind == ModelKind.Embedding ? Embedder(model, plan, loaded) : Generator(model, plan, loaded);
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

    private static SafeLlamaModel LoadWeights(string path, int gpuLayers, IProgress<float> progress, CancellationToken cancellationToken)
    {
        try
        {
            return SafeLlamaModel.Load(path, gpuLayers, progress, cancellationToken);
        }
        catch (LlamaException exception)
        {
            throw new EngineException(EngineError.Unavailable, exception.Message, exception);
        }
    }

    private InferenceEngine Generator(ModelDescription model, ModelPlan plan, SafeLlamaModel loaded)
    {
        var options = plan.Settings.Engine;
        var trained = loaded.TrainedContext;
        var runner = new LlamaModelRunner(loaded, new LlamaContextSettings
        {
            TokensPerSequence = options.ContextTokens == 0 ? trained : Math.Min(options.ContextTokens, trained),
            Sequences = options.MaxSequences,
            Cells = plan.Settings.Cells,
            BatchTokens = options.BatchTokens,
            Threads = options.EffectiveThreads,
            Layout = plan.Settings.Layout,
            KeyType = plan.Settings.KeyType,
            ValueType = plan.Settings.ValueType,
            FlashAttention = plan.Settings.FlashAttention,
        }, loaded.ChatTemplate);
        return new InferenceEngine(model.Id, runner, options, time, loggers.CreateLogger<InferenceEngine>());
    }

    private static LlamaEmbedder Embedder(ModelDescription model, ModelPlan plan, SafeLlamaModel loaded)
    {
        var context = Math.Min(loaded.TrainedContext, MaxEmbeddingTokens);
        return new LlamaEmbedder(loaded, new LlamaContextSettings
        {
            TokensPerSequence = context,
            Sequences = LlamaEmbedder.TextsPerBatch,
            BatchTokens = context,
            Threads = plan.Settings.Engine.EffectiveThreads,
            Embeddings = true,
        }, space: $"{model.Id}:{loaded.EmbeddingWidth}", plan.Settings.Engine.MaxQueuedRequests);
    }
}
