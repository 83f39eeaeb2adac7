namespace Fleet.Inference.Scheduling;

/// <summary>
/// How long a step takes: base + a * (decode tokens) + b * (prompt tokens), learned from measured steps, separately for every number of
/// threads, by least squares that forget (half of a step's weight is gone after some 35 steps). Decode thread only.
/// </summary>
internal sealed class StepBudget(TimeSpan maxStep, int minChunk, int batchTokens)
{
    private readonly Dictionary<int, StepCost> _costs = [];

    public void Record(int threads, int decodeTokens, int prefillTokens, TimeSpan elapsed)
    {
        if (decodeTokens + prefillTokens == 0 || elapsed < TimeSpan.Zero)
            return;
        if (!_costs.TryGetValue(threads, out var cost))
            _costs.Add(threads, cost = new StepCost());
        cost.Learn(decodeTokens, prefillTokens, elapsed.TotalMilliseconds);
    }

    /// <summary>Prompt tokens that fit beside the decode tokens of a step.</summary>
    /// <param name="decodeTokens">Entries of the batch taken already, drafts included.</param>
    /// <param name="running">Replies that are decoding: with none, nobody feels a stall and the whole batch may go to prompts.</param>
    public int PrefillTokens(int threads, int decodeTokens, int running)
    {
        var room = Math.Max(0, batchTokens - decodeTokens);
        if (running == 0)
            return room;

        var least = Math.Min(minChunk, room);
        if (Cost(threads) is not { Known: true } cost)
            return Math.Min(room, 2 * minChunk);
        var milliseconds = maxStep.TotalMilliseconds - cost.Milliseconds(decodeTokens, 0);
        return (int)Math.Clamp(milliseconds / Math.Max(cost.PerPrefill, 1e-6), least, room);
    }

    /// <summary>What a step would take; null before anything was measured.</summary>
    public TimeSpan? Estimate(int threads, int decodeTokens, int prefillTokens) =>
        Cost(threads) is { Known: true } cost ? TimeSpan.FromMilliseconds(cost.Milliseconds(decodeTokens, prefillTokens)) : null;

    // Another number of threads is a better guess than none, until this one is measured.
    private StepCost? Cost(int threads) => _costs.TryGetValue(threads, out var exact)
        ? exact
        : _costs.OrderBy(known => Math.Abs(known.Key - threads)).Select(known => known.Value).FirstOrDefault();
}
