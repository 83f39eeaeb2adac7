using Fleet.Provisioning.Native;

namespace Fleet.Benchmarks.Inference;

/// <summary>
/// Greedy replies to 50 prompts, token by token the same as llama.cpp's own server gives on the very same libraries. (A server compiled here
/// has other kernels, whose rounding may tip a near tie.)
/// </summary>
internal sealed class EqualityRow : Row
{
    private const int Prompts = 50;
    private const int ShortestPrompt = 8;
    private const int LongestPrompt = 60;
    private const int OutputTokens = 32;
    private const int SlotTokens = 512;

    // Names the programs ask for, and the prebuilt files that answer to them.
    private static readonly (string Asked, string File)[] Aliases =
    [
        ("libllama.so.0", "libllama.v0.5.0.so"), ("libggml.so.0", "libggml.v0.5.0.so"), ("libggml-base.so.0", "libggml-base.so"),
    ];

    // The server's own code, and what it needs that the npm package has no compatible form of.
    private static readonly string[] FromReference = ["llama-server", "libllama-server-impl.so", "libllama-common.so.0", "libmtmd.so.0"];

    public override string Id => "equality";

    public override string Title => "50 greedy replies the same as llama.cpp's own server on the same libraries";

    public override bool OnRequest => true;

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        context.Progress($"{Id}: {Title}");
        var program = Assemble(context);
        await using var fleet = await context.StartFleetAsync(sequences: 4);
        await using var anchor = await AnchorSide.StartAsync(context, AnchorVariant.Default, slots: 1, SlotTokens, program);
        fleet.Process.Resume();
        var random = new Random(50);
        var same = 0;
        for (var i = 0; i < Prompts; i++)
        {
            var ask = new Ask(BenchContext.RandomTokens(random, random.Next(ShortestPrompt, LongestPrompt + 1)), OutputTokens) { Bypass = true, AllIds = true };
            var (ours, theirs) = (await fleet.GenerateAsync(ask), await anchor.GenerateAsync(ask));
            if (!ours.Completed || !theirs.Completed)
                throw new BenchmarkException($"A reply did not complete.\n{fleet.Process.Tail()}\n{anchor.Process.Tail()}");
            if (ours.TokenIds.SequenceEqual(theirs.TokenIds))
                same++;
            else
                result.Notes.Add(await ExplainAsync(fleet, i, ours, theirs));
        }

        result.Figures["equality_prompts"] = Prompts;
        result.Figures["equality_same"] = same;
        result.Flags["equality.default"] = anchor.Flags;
        context.Progress($"  {same} of {Prompts} are the same");
    }

    /// <summary>How near the choice was that fell differently: rounding decides between tokens that are all but equally likely, a fault does not.</summary>
    private static async Task<string> ExplainAsync(FleetSide fleet, int prompt, Reply ours, Reply theirs)
    {
        var place = ours.TokenIds.Zip(theirs.TokenIds).TakeWhile(pair => pair.First == pair.Second).Count();
        var again = await fleet.GenerateAsync(ours.Ask with { TopLogprobs = 20 });
        var repeated = again.TokenIds.SequenceEqual(ours.TokenIds) ? "" : " (and Fleet's second reply is another)";
        return again.Chances.Count > place && again.Chances[place].Top.TryGetValue(theirs.TokenIds[place], out var other)
            ? FormattableString.Invariant($"prompt {prompt} ({ours.Ask.Prompt.Count} tokens) differs from token {place} on, where the two were {Math.Abs(again.Chances[place].Logprob - other):0.0000} apart in log-probability{repeated}")
            : $"prompt {prompt} ({ours.Ask.Prompt.Count} tokens) differs from token {place} on{repeated}";
    }

    /// <summary>A folder in which llama-server finds the prebuilt libraries under the names it was linked with.</summary>
    private static string Assemble(BenchContext context)
    {
        var directory = context.NewDirectory("same-libraries");
        var libraries = new NativeLibraries(context.Paths.Cache).DirectoryFor(NativeLibraries.DefaultFlavour);
        if (!Directory.Exists(libraries))
            throw new BenchmarkException($"llama.cpp's libraries are not in {libraries}; ./fleet up or ./fleet test fetches them.");
        foreach (var file in Directory.GetFiles(libraries))
            File.CreateSymbolicLink(Path.Combine(directory, Path.GetFileName(file)), file);
        foreach (var (asked, file) in Aliases)
            File.CreateSymbolicLink(Path.Combine(directory, asked), Path.Combine(libraries, file));
        foreach (var file in FromReference)
            File.Copy(Path.Combine(context.Reference.Directory, file), Path.Combine(directory, file));
        return Path.Combine(directory, "llama-server");
    }
}
