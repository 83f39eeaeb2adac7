using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Native.Shim;
using Fleet.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Native;

/// <summary>The real library and small models made for this run. Without the library the tests that ask for it are skipped, with the reason.</summary>
public sealed class NativeFixture : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-models-").FullName;

    public NativeFixture()
    {
        LlamaModel.Tiny.Save(PathOf("tiny-llama"));
        LlamaModel.Small.Save(PathOf("small-llama"));
        BertModel.Tiny.Save(PathOf("tiny-bert"));
        BertModel.TinyReranker.Save(PathOf("tiny-reranker"));
        (LlamaModel.Tiny with { Pooling = 3 }).Save(PathOf("tiny-decoder-embedding"));
        Libraries = new NativeLibraries(Options.Create(new NativeOptions()), NullLogger<NativeLibraries>.Instance);
    }

    internal NativeLibraries Libraries { get; }

    public string PathOf(string model) => Path.Combine(_directory, $"{model}.gguf");

    /// <summary>Skips only when the libraries' folder does not exist: a folder with unusable libraries is a failure.</summary>
    public void RequireLibraries()
    {
        var directory = new NativeOptions().NativeLibraryDirectory;
        Assert.SkipUnless(Directory.Exists(directory), $"llama.cpp is not installed in {directory}; ./fleet test installs it.");
        Assert.Null(Libraries.Unavailable);
    }

    internal InferenceEngine Generator(string model = "tiny-llama", Action<EngineOptions>? configure = null) => (InferenceEngine)Load(model, ModelKind.Chat, configure);

    /// <summary>With the chat shim: the model's own template, tools and schemas. Skips where no compiler made one.</summary>
    internal InferenceEngine ChatGenerator(string model, Action<EngineOptions>? configure = null)
    {
        RequireLibraries();
        var options = new NativeOptions();
        Assert.SkipUnless(File.Exists(ChatShim.FileOf(options)), $"{ChatShim.FileOf(options)} is not compiled; ./fleet test does it where g++ is or can be installed.");
        var shim = new ChatShim(Libraries, Options.Create(options), NullLogger<ChatShim>.Instance);
        Assert.Null(shim.Unavailable);
        return (InferenceEngine)Load(model, ModelKind.Chat, configure, shim);
    }

    internal LlamaEmbedder Embedder(string model = "tiny-bert", Action<EngineOptions>? configure = null) => (LlamaEmbedder)Load(model, ModelKind.Embedding, configure);

    internal LlamaReranker Reranker(string model = "tiny-reranker", Action<EngineOptions>? configure = null) => (LlamaReranker)Load(model, ModelKind.Reranker, configure);

    internal IModelEngine Load(string model, ModelKind kind, Action<EngineOptions>? configure, ChatShim? shim = null)
    {
        RequireLibraries();
        var options = new EngineOptions { Threads = 1, ContextTokens = 512, BatchTokens = 64 };
        configure?.Invoke(options);
        var description = ModelDescription.FromFile(new FileInfo(PathOf(model))) with { Kind = kind };
        var plan = new ModelMemory(new MachineMemory(Libraries), Options.Create(new ModelsOptions()), Options.Create(options)).Plan(description, []);
        return new LlamaModelLoader(Libraries, TimeProvider.System, NullLoggerFactory.Instance, shim).Load(description, plan, new Progress<float>(), CancellationToken.None);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}

/// <summary>One process, one library: these classes share the fixture and do not run beside each other.</summary>
[CollectionDefinition(nameof(NativeTests))]
public sealed class NativeTests : ICollectionFixture<NativeFixture>;
