using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Inference;

/// <summary>L9: the first question after the service was restarted, with the system prompt's state kept on disk, against computing it.</summary>
internal sealed class RestartRow : Row
{
    private const int PrefixTokens = 1024;
    private const int OwnTokens = 16;
    private const int OutputTokens = 4;

    // More than a prefix needs to be worth a file.
    private const int RequestsBefore = 6;

    public override string Id => "L9";

    public override string Title => "first token after a restart, prefix kept on disk against computed";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        context.Progress($"{Id}: {Title}");
        var settings = new Dictionary<string, string> { ["PrefixDirectory"] = context.NewDirectory("prefixes") };
        var random = new Random(9);
        var ratios = new List<double>();
        var (kept, computed, cached) = (new List<double>(), new List<double>(), new List<double>());
        for (var i = 0; i < (context.Quick ? 1 : 5); i++)
        {
            var prefix = BenchContext.RandomTokens(random, PrefixTokens);
            await using (var before = await context.StartFleetAsync(further: settings))
            {
                before.Process.Resume();
                for (var request = 0; request < RequestsBefore; request++)
                    await before.GenerateAsync(WithPrefix(prefix, random));
                await before.Process.StopAsync();
            }

            await using var after = await context.StartFleetAsync(further: settings);
            after.Process.Resume();
            var first = await after.GenerateAsync(WithPrefix(prefix, random));
            var cold = await after.GenerateAsync(WithPrefix(BenchContext.RandomTokens(random, PrefixTokens), random));
            kept.Add(first.FirstToken);
            computed.Add(cold.FirstToken);
            cached.Add(first.CachedTokens);
            ratios.Add(cold.FirstToken / first.FirstToken);
            context.Progress(FormattableString.Invariant($"  {first.FirstToken:0.000} s with {first.CachedTokens} tokens from disk, {cold.FirstToken:0.000} s without"));
        }

        result.Ratios["restart"] = Spread.Of(ratios);
        result.Figures["restart_kept_first_token_s"] = kept.Median();
        result.Figures["restart_computed_first_token_s"] = computed.Median();
        result.Figures["restart_cached_tokens"] = cached.Median();
    }

    private static Ask WithPrefix(int[] prefix, Random random) => new([.. prefix, .. BenchContext.RandomTokens(random, OwnTokens)], OutputTokens);
}
