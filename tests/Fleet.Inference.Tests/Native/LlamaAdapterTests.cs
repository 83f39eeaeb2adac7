using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Models;

namespace Fleet.Inference.Tests.Native;

[Collection(nameof(NativeTests))]
public sealed class LlamaAdapterTests(NativeFixture native) : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-adapters-").FullName;

    [Fact]
    public void Adapter_ChangesWhatTheModelSays_AndLeavesNoTrace()
    {
        native.RequireLibraries();
        new LoraAdapter(LlamaModel.Tiny).Save(PathOf("poet"));
        using var model = SafeLlamaModel.Load(native.PathOf("tiny-llama"), 0, new Progress<float>(), CancellationToken.None);
        using var context = SafeLlamaContext.Create(model, new LlamaContextSettings { TokensPerSequence = 256, Sequences = 1, BatchTokens = 16, Threads = 1 });
        var adapters = new LlamaAdapters(model, "llama", [new AdapterDescription("poet", PathOf("poet"), 0)]);

        var plain = Logits(context);
        context.SetAdapters([new LlamaAdapterUse(adapters["poet"], 1)]);
        var changed = Logits(context);
        context.SetAdapters([new LlamaAdapterUse(adapters["poet"], 0)]);
        var scaledAway = Logits(context);
        context.SetAdapters([]);
        var again = Logits(context);

        Assert.NotEqual(plain, changed);
        Assert.Equal(plain, scaledAway);
        Assert.Equal(plain, again);
        Assert.Equal(adapters["poet"], adapters["poet"]);
    }

    [Fact]
    public void Find_UnknownOrBroken_IsRefusedByName()
    {
        native.RequireLibraries();
        File.WriteAllText(PathOf("broken"), "not an adapter");
        (new LoraAdapter(LlamaModel.Tiny) with { Architecture = "qwen2" }).Save(PathOf("other"));
        new LoraAdapter(LlamaModel.Small).Save(PathOf("wide"));
        using var model = SafeLlamaModel.Load(native.PathOf("tiny-llama"), 0, new Progress<float>(), CancellationToken.None);
        var adapters = new LlamaAdapters(model, "llama", [.. ((string[])["broken", "other", "wide"]).Select(id => new AdapterDescription(id, PathOf(id), 0))]);

        Assert.False(adapters.ContainsKey("poet"));
        var unknown = Assert.Throws<EngineException>(() => adapters["poet"]);
        Assert.Equal(EngineError.InvalidRequest, unknown.Error);
        Assert.Contains("broken, other, wide", unknown.Message, StringComparison.Ordinal);
        foreach (var id in (string[])["broken", "other", "wide"])
            Assert.Contains(id, Assert.Throws<EngineException>(() => adapters.ContainsKey(id)).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static float[] Logits(SafeLlamaContext context)
    {
        context.ClearAll();
        using var batch = new LlamaBatch(context.BatchTokens);
        batch.Add(1, 0, 0, output: false);
        batch.Add(300, 1, 0, output: true);
        Assert.Equal(DecodeStatus.Done, context.Decode(batch));
        return context.Logits(1).ToArray();
    }

    private string PathOf(string name) => Path.Combine(_directory, $"{name}.gguf");
}
