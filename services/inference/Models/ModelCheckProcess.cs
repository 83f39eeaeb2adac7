using Fleet.Inference.Native;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>
/// The other process of <see cref="ModelCheck"/>: this executable with a hidden argument. Opens the file as the service would, tokenises a text and
/// computes one step, and says how far it came. It may die at any point; that is what it is for.
/// </summary>
internal static class ModelCheckProcess
{
    public const string Argument = "--check-model";

    /// <summary>Said before the library touches the file: what ends the process afterwards is the file's doing.</summary>
    public const string Opening = "opening";
    public const string Passed = "passed";
    public const string Refused = "refused: ";

    private const int Tokens = 8;

    /// <returns>The exit code when the arguments ask for a check; null for the service.</returns>
    public static int? Run(string[] arguments)
    {
        if (arguments is not [Argument, var path, var libraries])
            return null;

        var native = new NativeLibraries(Options.Create(new NativeOptions { NativeLibraryDirectory = libraries }), NullLogger<NativeLibraries>.Instance);
        if (native.Unavailable is { } unavailable)
        {
            Console.Error.WriteLine(unavailable);
            return 2;
        }

        try
        {
            var description = ModelDescription.FromFile(new FileInfo(path));
            GgufValidator.Validate(GgufReader.Read(path, full: true));
            Say(Opening);
            Try(path, description.Kind != ModelKind.Chat);
            Say(Passed);
            return 0;
        }
        catch (Exception exception) when (exception is LlamaException or GgufException)
        {
            Say(Refused + exception.Message.ReplaceLineEndings(" "));
            return 3;
        }
    }

    private static void Try(string path, bool embeddings)
    {
        using var model = SafeLlamaModel.Load(path, gpuLayers: 0, new Ignored(), CancellationToken.None, rearrange: false);
        var text = model.Tokenize("Hello, world! 안녕 <|im_end|>"u8, addSpecial: true, parseSpecial: true);
        foreach (var token in text)
            model.Piece(token);

        using var context = SafeLlamaContext.Create(model, new LlamaContextSettings
        {
            TokensPerSequence = Math.Min(256, model.TrainedContext),
            Sequences = 1,
            BatchTokens = Tokens,
            Threads = 1,
            Embeddings = embeddings,
        });
        using var batch = new LlamaBatch(context.BatchTokens);
        var count = Math.Min(Math.Min(Tokens, text.Length), context.BatchTokens);
        for (var position = 0; position < count; position++)
            batch.Add(text[position], position, 0, output: embeddings || position == count - 1);
        if (batch.Count > 0 && context.Decode(batch) != DecodeStatus.Done)
            throw new LlamaException("llama.cpp cannot compute with this model.");
    }

    private static void Say(string line)
    {
        Console.Out.WriteLine(line);
        Console.Out.Flush();
    }

    private sealed class Ignored : IProgress<float>
    {
        public void Report(float value)
        {
        }
    }
}
