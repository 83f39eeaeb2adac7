using System.Globalization;

namespace Fleet.Benchmarks.Inference;

/// <summary>
/// L7: does one tenant's text ever reach another through the prefix cache? Thousands of requests of three tenants that use the very same
/// prompts, with cancels and a cache far too small for them. A prefix that was served from the cache must have been sent by the same tenant
/// before, and what a request computes must be what it computes with the cache off: a wrong or foreign cell would show.
/// </summary>
internal sealed class LeakRow : Row
{
    private const int Requests = 10_000;
    private const int QuickRequests = 500;
    private const int AtATime = 12;
    private const int Sequences = 8;
    private const int ContextTokens = 512;
    private const int Prefixes = 12;
    private const int MaxPrefix = 300;
    private const int MaxOwn = 40;
    private const int MaxOutput = 12;
    private const double CancelShare = 0.2;
    private const double ReplayShare = 0.01;
    private const double QuickReplayShare = 0.05;

    // A wrong cell moves these by whole units; rounding in a cache of 16-bit floats by hundredths.
    private const double Tolerance = 0.05;
    private static readonly string[] Tenants = ["red", "green", "blue"];

    public override string Id => "L7";

    public override string Title => "leaks between tenants in thousands of randomised requests";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        var total = context.Quick ? QuickRequests : Requests;
        context.Progress($"{Id}: {total} requests of {Tenants.Length} tenants");
        var model = await context.SmallModelAsync();
        await using var fleet = await context.StartFleetAsync(Sequences, ContextTokens, model.Path);
        fleet.Process.Resume();
        var random = new Random(70);
        var prefixes = Enumerable.Range(0, Prefixes).Select(_ => BenchContext.RandomTokens(random, random.Next(MaxPrefix / 4, MaxPrefix))).ToList();
        var seen = Tenants.ToDictionary(tenant => tenant, _ => new SeenPrefixes());
        var kept = new List<Reply>();
        var (foreign, cached, cancelled, done) = (0, 0L, 0, 0);
        long memory = 0;
        var gate = new Lock();
        var next = 0;
        await Task.WhenAll(Enumerable.Range(0, AtATime).Select(worker => WorkAsync(new Random(700 + worker))));

        var wrong = 0;
        var largest = 0.0;
        foreach (var reply in kept)
        {
            var again = await fleet.GenerateAsync(reply.Ask with { Bypass = true });
            var difference = Difference(reply, again);
            largest = Math.Max(largest, difference);
            if (difference > Tolerance)
                wrong++;
        }

        result.Figures["leak_requests"] = done;
        result.Figures["leak_cancelled"] = cancelled;
        result.Figures["leak_cached_tokens"] = cached;
        result.Figures["leak_foreign_hits"] = foreign;
        result.Figures["leak_replayed"] = kept.Count;
        result.Figures["leak_wrong_replays"] = wrong;
        result.Figures["leak_largest_logprob_difference"] = largest;
        result.Figures["leak_memory_growth_mb"] = (MemoryBytes(fleet.Process.Id) - memory) / 1e6;
        if (await LeftCellsAsync(fleet) is { } left)
            result.Figures["leak_cells_not_freed"] = left;
        if (foreign + wrong > 0 || result.Figures.GetValueOrDefault("leak_cells_not_freed") > 0)
            throw new BenchmarkException(string.Create(CultureInfo.InvariantCulture, $"{foreign} foreign cache hits, {wrong} of {kept.Count} replays differ by more than {Tolerance} (largest {largest:0.000}), {result.Figures.GetValueOrDefault("leak_cells_not_freed")} cells not freed."));

        async Task WorkAsync(Random own)
        {
            while (Interlocked.Increment(ref next) <= total)
            {
                var prefix = prefixes[own.Next(Prefixes)];
                int[] prompt = [.. prefix.AsSpan(0, own.Next(1, prefix.Length + 1)), .. BenchContext.RandomTokens(own, own.Next(1, MaxOwn))];
                var replay = own.NextDouble() < (context.Quick ? QuickReplayShare : ReplayShare);
                var ask = new Ask(prompt, own.Next(1, MaxOutput)) { Tenant = Tenants[own.Next(Tenants.Length)], TopLogprobs = replay ? 5 : 0 };
                int known;
                lock (gate)
                    known = seen[ask.Tenant].LongestKnown(prompt);
                using var cancel = new CancellationTokenSource();
                if (!replay && own.NextDouble() < CancelShare)
                    cancel.CancelAfter(TimeSpan.FromMilliseconds(own.Next(1, 200)));
                // Known to its tenant from the moment it is sent: others of the same tenant may share it while it is computed.
                lock (gate)
                    seen[ask.Tenant].Add(prompt);
                var reply = await fleet.GenerateAsync(ask, cancel.Token);
                lock (gate)
                {
                    // What this very tenant sent while this request waited may have been used too.
                    known = Math.Max(known, seen[ask.Tenant].LongestKnown(prompt, besides: prompt));
                    if (reply.CachedTokens > known)
                        foreign++;
                    if (reply is { Completed: true } && replay)
                        kept.Add(reply);
                    (cached, cancelled, done) = (cached + reply.CachedTokens, cancelled + (reply.Completed ? 0 : 1), done + 1);
                    if (done == total / 4)
                        memory = MemoryBytes(fleet.Process.Id);
                    if (done % (total / 4) == 0)
                        context.Progress($"  {done} requests, {foreign} foreign hits");
                }
            }
        }
    }

    /// <summary>What is in use although nothing runs; the engine tells of it with its next step, so it is asked more than once.</summary>
    private static async Task<int?> LeftCellsAsync(FleetSide fleet)
    {
        int? left = null;
        for (var i = 0; i < 20 && (left is null or > 0); i++)
        {
            left = await fleet.StatusAsync() is { KvCells: > 0 } status ? status.KvCellsUsed - status.KvCellsCached : null;
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }

        return left;
    }

    /// <summary>The largest difference of log-probabilities, as long as both wrote the same; a near tie that fell the other way ends the comparison.</summary>
    internal static double Difference(Reply cached, Reply computed)
    {
        var largest = 0.0;
        foreach (var (a, b) in cached.Chances.Zip(computed.Chances))
        {
            foreach (var (token, logprob) in a.Top)
            {
                if (b.Top.TryGetValue(token, out var other))
                    largest = Math.Max(largest, Math.Abs(logprob - other));
            }

            if (a.Token == b.Token)
                continue;
            // What the one chose must be as likely to the other as what it chose itself.
            return Math.Max(largest, b.Top.TryGetValue(a.Token, out var chosen) ? b.Logprob - chosen : double.PositiveInfinity);
        }

        return largest;
    }

    private static long MemoryBytes(int process)
    {
        var line = File.ReadLines($"/proc/{process}/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}
