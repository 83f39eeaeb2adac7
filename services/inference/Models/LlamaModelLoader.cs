using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Persistence;
using Fleet.Inference.Native;
using Fleet.Inference.Native.Shim;
using Fleet.Inference.Telemetry;

namespace Fleet.Inference.Models;

/// <summary>Loads GGUF files through llama.cpp after validating them in C#.</summary>
/// <param name="shim">Null: the template formats llama.cpp's C functions know.</param>
internal sealed class LlamaModelLoader(
    NativeLibraries native, TimeProvider time, ILoggerFactory loggers, ChatShim? shim = null, InferenceMetrics? metrics = null, PrefixStore? prefixes = null,
    ModelCheck? check = null) : IModelLoader
{
    public string? Unavailable => native.Unavailable;

    public IModelEngine Load(ModelDescription model, ModelPlan plan, IProgress<float> progress, CancellationToken cancellationToken)
    {
        var header = GgufReader.Read(model.Path!, full: true);
        GgufValidator.Validate(header);
        foreach (var part in SplitModel.LaterParts(model.Path!))
            GgufValidator.ValidatePart(GgufReader.Read(part));
        check?.Require(model.Path!, cancellationToken);
        var loaded = LoadWeights(model.Path!, plan.GpuLayers, progress, cancellationToken);
        try
        {
            return model.Kind switch
            {
                ModelKind.Embedding => Embedder(model, plan, loaded),
                ModelKind.Reranker => Reranker(model, plan, header, loaded),
                _ => Generator(model, plan, loaded),
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
            MicroBatchTokens = options.MicroBatchTokens,
            Threads = options.EffectiveThreads,
            Layout = plan.Settings.Layout,
            KeyType = plan.Settings.KeyType,
            ValueType = plan.Settings.ValueType,
            FlashAttention = plan.Settings.FlashAttention,
        }, loaded.ChatTemplate, new LlamaAdapters(loaded, model.Architecture, model.Adapters), modelIdentity: prefixes is { Enabled: true } ? PrefixStore.IdentityOf(model.Path!) : "");
        try
        {
            var vocabulary = (LlamaVocabulary)runner.Vocabulary;
            return new InferenceEngine(model.Id, runner, options, time, loggers.CreateLogger<InferenceEngine>(), new EngineServices
            {
                Format = shim is null ? vocabulary.BuiltInFormat() : LlamaPromptFormat.Of(loaded, vocabulary, shim, loggers.CreateLogger<InferenceEngine>()),
                Metrics = metrics,
                Prefixes = prefixes,
            });
        }
        catch
        {
            runner.Dispose();
            throw;
        }
    }

    private LlamaEmbedder Embedder(ModelDescription model, ModelPlan plan, SafeLlamaModel loaded) => Texts(plan, loaded, runner =>
        new LlamaEmbedder(loaded, model.Id, runner, plan.Settings.Engine.MaxQueuedRequests, time, loggers.CreateLogger<LlamaEmbedder>()));

    private LlamaReranker Reranker(ModelDescription model, ModelPlan plan, GgufHeader header, SafeLlamaModel loaded) => Texts(plan, loaded, runner =>
        new LlamaReranker(loaded, model, header, runner, plan.Settings.Engine.MaxQueuedRequests, time, loggers.CreateLogger<LlamaReranker>()));

    private static TEngine Texts<TEngine>(ModelPlan plan, SafeLlamaModel loaded, Func<LlamaTextRunner, TEngine> create)
    {
        var runner = new LlamaTextRunner(loaded, plan.Settings.Engine.BatchTokens, plan.Settings.Engine.EffectiveThreads, onGpu: plan.GpuLayers > 0);
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
