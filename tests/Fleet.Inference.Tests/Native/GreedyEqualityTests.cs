using Fleet.Inference.Engine;
using Fleet.Inference.Native;
using Fleet.Models;

namespace Fleet.Inference.Tests.Native;

/// <summary>What the engine writes without chance is, token by token, what llama.cpp itself gives (issue 3: 50 prompts).</summary>
[Collection(nameof(NativeTests))]
public sealed class GreedyEqualityTests(NativeFixture native)
{
    private const int Prompts = 50;
    private const int OutputTokens = 24;
    private static readonly string[] Words = "the and of to in is a hello world my name cat dog run sun moon tree 안녕 1 2 3 . , ?".Split(' ');
    private static readonly LlamaModel Shape = new() { Layers = 3, Width = 128, Heads = 4, KeyValueHeads = 2, FeedForward = 256, Vocabulary = 1024, Seed = 11 };

    [Theory]
    [InlineData(Quantisation.None)]
    [InlineData(Quantisation.Q8)]
    [InlineData(Quantisation.Q4)]
    public async Task FiftyPrompts_EqualAPlainLoopOverTheLibrary(Quantisation quantisation)
    {
        native.RequireLibraries();
        var model = $"equality-{quantisation}";
        (Shape with { Quantisation = quantisation }).Save(native.PathOf(model));
        using var plain = new PlainDecoding(new NativeOptions().NativeLibraryDirectory, native.PathOf(model));
        await using var engine = native.Generator(model);
        var random = new Random(50);

        var different = new List<string>();
        for (var i = 0; i < Prompts; i++)
        {
            var prompt = string.Join(' ', Enumerable.Range(0, random.Next(2, 25)).Select(_ => Words[random.Next(Words.Length)]));
            var expected = plain.Greedy(engine.Tokenize(prompt).Ids, OutputTokens, LlamaModel.EndTokens);
            var actual = await GenerateAsync(engine, prompt);
            if (!actual.SequenceEqual(expected))
                different.Add($"{prompt}: {string.Join(',', expected)} but {string.Join(',', actual)}");
        }

        Assert.Empty(different);
    }

    private static async Task<List<int>> GenerateAsync(InferenceEngine engine, string prompt)
    {
        var request = new GenerationRequest
        {
            RequestId = "equality",
            Prompt = prompt,
            MaxTokens = OutputTokens,
            // A reply of random weights would end somewhere; both sides are kept from it in their own way.
            Sampling = new SamplingParameters { Temperature = 0, LogitBias = LlamaModel.EndTokens.ToDictionary(token => token, _ => -100f) },
        };
        var events = await engine.GenerateAsync(request, TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
        return [.. events.OfType<GenerationDelta>().SelectMany(delta => delta.TokenIds)];
    }
}
