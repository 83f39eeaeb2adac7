using Fleet.Inference.Models;
using Fleet.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Models;

public sealed class ModelCatalogueTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-catalogue-").FullName;
    private readonly ModelsOptions _options;

    public ModelCatalogueTests()
    {
        _options = new ModelsOptions { ModelsDirectory = _directory };
        LlamaModel.Tiny.Save(PathOf("tiny"));
        LlamaModel.Tiny.Save(PathOf("tiny-chat"));
    }

    [Fact]
    public void Scan_Adapters_AreListedUnderTheModelTheyAreNamedAfter()
    {
        new LoraAdapter(LlamaModel.Tiny).Save(PathOf("tiny-chat-poet.lora"));
        new LoraAdapter(LlamaModel.Tiny).Save(PathOf("tiny-lawyer"));
        (new LoraAdapter(LlamaModel.Tiny) with { Architecture = "qwen2" }).Save(PathOf("tiny-other"));
        new LoraAdapter(LlamaModel.Tiny).Save(PathOf("stray"));
        var own = _options.Models["tiny"] = new ModelOptions();
        own.Adapters.Add("stray.gguf");

        using var catalogue = Catalogue();

        Assert.Equal(["tiny", "tiny-chat"], catalogue.Models.Where(model => !model.BuiltIn).Select(model => model.Id));
        Assert.Equal(["stray", "tiny-lawyer"], catalogue.Find("tiny")!.Adapters.Select(adapter => adapter.Id));
        Assert.Equal(["tiny-chat-poet"], catalogue.Find("tiny-chat")!.Adapters.Select(adapter => adapter.Id));
    }

    [Fact]
    public void Rescan_NothingChanged_GivesEqualDescriptions()
    {
        new LoraAdapter(LlamaModel.Tiny).Save(PathOf("tiny-poet"));
        using var catalogue = Catalogue();
        var before = catalogue.Find("tiny");

        catalogue.Rescan();

        Assert.Equal(before, catalogue.Find("tiny"));
    }

    [Fact]
    public void ModelInParts_IsOneModel()
    {
        LlamaModel.Tiny.Save(Path.Combine(_directory, "big-00001-of-00002.gguf"));
        new GgufWriter().Set("split.no", 1u).Tensor("blk.1.more.weight", new float[1024], 1024).Save(Path.Combine(_directory, "big-00002-of-00002.gguf"));

        using var catalogue = Catalogue();

        var model = catalogue.Find("big-00001-of-00002")!;
        Assert.Null(model.Problem);
        Assert.True(model.SizeBytes > model.FileBytes);
        Assert.Equal(4096, model.Shape!.Layers[1].WeightBytes - model.Shape.Layers[0].WeightBytes);
        Assert.True(catalogue.Delete(model.Id));
        Assert.Empty(Directory.EnumerateFiles(_directory, "big*"));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private string PathOf(string name) => Path.Combine(_directory, $"{name}.gguf");

    private ModelCatalogue Catalogue() => new(Options.Create(_options), NullLogger<ModelCatalogue>.Instance);
}
