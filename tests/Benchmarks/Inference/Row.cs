using Fleet.Benchmarks.Measurement;

namespace Fleet.Benchmarks.Inference;

/// <summary>One line, or a few that belong together, of the scoreboard (performance.md §1).</summary>
internal abstract class Row
{
    public const string Fleet = "fleet";
    public const string Anchor = "default";
    public const string Tuned = "tuned";

    /// <summary>As the scoreboard names it: L1 to L9.</summary>
    public abstract string Id { get; }

    public abstract string Title { get; }

    /// <summary>Not part of a run that names no rows.</summary>
    public virtual bool OnRequest => false;

    public abstract Task MeasureAsync(BenchContext context, RowResult result);
}

/// <summary>What a row showed. Ratios above 1 are Fleet's advantage.</summary>
internal sealed class RowResult(string id)
{
    public string Id { get; } = id;

    public Dictionary<string, Spread> Ratios { get; } = [];

    /// <summary>Absolute values; the unit is the end of the name.</summary>
    public Dictionary<string, double> Figures { get; } = [];

    /// <summary>What each side was started with.</summary>
    public Dictionary<string, string> Flags { get; } = [];

    public List<string> Notes { get; } = [];

    public int Discarded { get; private set; }

    /// <summary>The most that others used in a pair that counted, in cores.</summary>
    public double OtherCores { get; private set; }

    public void Count(PairedRun run)
    {
        Discarded += run.Discarded;
        Saw(run.OtherCores);
    }

    public void Saw(double otherCores) => OtherCores = Math.Max(OtherCores, otherCores);

    public void Flag(string part, IReadOnlyDictionary<string, Side> sides)
    {
        foreach (var (name, side) in sides)
            Flags[$"{part}.{name}"] = side.Flags;
    }

    /// <summary>The medians of a metric on every side, as <c>prefix_side_unit</c>.</summary>
    public void AddFigures(PairedRun run, IEnumerable<string> sides, string metric, string prefix, string unit)
    {
        foreach (var side in sides)
            Figures[$"{prefix}_{side}_{unit}"] = run.Values(side, metric).Median;
    }
}
