namespace Fleet.Benchmarks.Measurement;

/// <summary>How a comparison is repeated.</summary>
/// <param name="Pairs">Pairs that count.</param>
/// <param name="MaxOtherCores">A pair during which others used more is thrown away and repeated (performance.md §1.1: 0.10).</param>
/// <param name="MaxDiscarded">After so many the noise is accepted and reported.</param>
internal sealed record Protocol(int Pairs, double MaxOtherCores, int MaxDiscarded);

/// <summary>What one visit to one side showed: metric to value.</summary>
internal sealed record Visit(IReadOnlyDictionary<string, double> Metrics, double OtherCores);

/// <summary>One visit to every side, close together in time.</summary>
internal sealed record Round(IReadOnlyDictionary<string, Visit> Visits)
{
    public double OtherCores => Visits.Values.Max(visit => visit.OtherCores);
}

/// <summary>Rounds over two or more sides, in alternating order (A-B-B-A), with the noise gate.</summary>
internal sealed record PairedRun(IReadOnlyList<Round> Rounds, int Discarded)
{
    public double OtherCores => Rounds.Max(round => round.OtherCores);

    /// <param name="sides">The names, in the order of the first round.</param>
    /// <param name="visit">Measures one side once; the number counts rounds, discarded ones included, so that no input comes twice.</param>
    public static async Task<PairedRun> MeasureAsync(
        Protocol protocol, IReadOnlyList<string> sides, Func<string, int, Task<Visit>> visit, Action<Round, bool>? onRound = null)
    {
        var rounds = new List<Round>();
        var discarded = 0;
        while (rounds.Count < protocol.Pairs)
        {
            var number = rounds.Count + discarded;
            var visits = new Dictionary<string, Visit>();
            // By rounds kept: a repeated round goes in the direction of the one it replaces.
            foreach (var side in rounds.Count % 2 == 0 ? sides : sides.Reverse())
                visits[side] = await visit(side, number);

            var round = new Round(visits);
            var keep = round.OtherCores <= protocol.MaxOtherCores || discarded >= protocol.MaxDiscarded;
            if (keep)
                rounds.Add(round);
            else
                discarded++;
            onRound?.Invoke(round, keep);
        }

        return new PairedRun(rounds, discarded);
    }

    public Spread Values(string side, string metric) => Spread.Of(Rounds.Select(round => round.Visits[side].Metrics[metric]));

    /// <summary>Per round, how many times as high the metric is on the first side as on the second.</summary>
    public Spread Ratio(string metric, string over, string under) =>
        Spread.Of(Rounds.Select(round => round.Visits[over].Metrics[metric] / round.Visits[under].Metrics[metric]));
}
