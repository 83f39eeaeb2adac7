using System.Globalization;
using System.Text;

namespace Fleet.Benchmarks.Inference;

/// <summary>All rows of one run, as JSON, as lines, or as the table of the results page.</summary>
internal sealed class InferenceResult(IReadOnlyList<RowResult> rows, IReadOnlyList<(string Row, string Problem)> failures, RunDescription description)
{
    public IReadOnlyList<(string Row, string Problem)> Failures => failures;

    public object ToJson() => new
    {
        Name = "inference",
        Ratios = Merge(row => row.Ratios.Select(ratio => KeyValuePair.Create(ratio.Key, Finite(ratio.Value.Median)))),
        Figures = Merge(row => row.Figures),
        Spread = Merge(row => row.Ratios.Select(ratio =>
            KeyValuePair.Create<string, object>(ratio.Key, new { Low = Finite(ratio.Value.Low), High = Finite(ratio.Value.High), Pairs = ratio.Value.Count }))),
        Flags = Merge(row => row.Flags),
        OtherCores = rows.ToDictionary(row => row.Id, row => row.OtherCores),
        Discarded = rows.ToDictionary(row => row.Id, row => row.Discarded),
        Notes = rows.Where(row => row.Notes.Count > 0).ToDictionary(row => row.Id, row => row.Notes),
        Failed = failures.ToDictionary(failure => failure.Row, failure => failure.Problem),
        description.Machine,
        description.Commit,
        description.ModelSha256,
        description.StartedAt,
        description.Minutes,
        description.Quick,
    };

    public string ToText()
    {
        var text = new StringBuilder().AppendLine(Culture($"inference on {description.Machine}"));
        foreach (var row in rows)
        {
            text.AppendLine(Culture($"{row.Id}: others used up to {row.OtherCores:0.00} cores, {row.Discarded} pairs repeated"));
            foreach (var (name, ratio) in row.Ratios)
                text.AppendLine(Culture($"  {name,-30} {ratio.Median,8:0.00} x  ({ratio.Low:0.00} to {ratio.High:0.00}, {ratio.Count} pairs)"));
            foreach (var (name, value) in row.Figures)
                text.AppendLine(Culture($"  {name,-42} {value:0.###}"));
            foreach (var note in row.Notes)
                text.AppendLine($"  {note}");
        }

        foreach (var (row, problem) in failures)
            text.AppendLine($"{row} could not be measured: {problem}");
        return text.ToString();
    }

    public string ToMarkdown()
    {
        var ratios = rows.SelectMany(row => row.Ratios).ToDictionary();
        var text = new StringBuilder()
            .AppendLine(Culture($"{description.Machine}; commit {description.Commit}; {description.StartedAt:yyyy-MM-dd}{(description.Quick ? ", a quick run" : "")}. "))
            .AppendLine(Culture($"Model: {description.ModelName}, SHA-256 {description.ModelSha256[..16]}….")).AppendLine()
            .AppendLine("| row | what | must | ahead | against defaults | spread | against tuned |")
            .AppendLine("|---|---|---|---|---|---|---|");
        foreach (var goal in Goal.All)
        {
            if (!ratios.TryGetValue(goal.Key, out var ratio))
                continue;
            var tuned = ratios.TryGetValue(goal.Key + "_tuned", out var against) ? Ratio(against.Median) : "";
            text.AppendLine(Culture($"| {goal.Row} | {goal.What} | {goal.Must} | {goal.Ahead} | **{Ratio(ratio.Median)}** | {Ratio(ratio.Low)}–{Ratio(ratio.High)} | {tuned} |"));
        }

        text.AppendLine();
        foreach (var row in rows)
        {
            text.AppendLine(Culture($"- {row.Id}: {string.Join(", ", row.Figures.Select(figure => Culture($"{figure.Key} {figure.Value:0.###}")))}. Others used up to {row.OtherCores:0.00} cores; {row.Discarded} pairs repeated.{string.Concat(row.Notes.Select(note => " " + note + "."))}"));
        }

        foreach (var (row, problem) in failures)
            text.AppendLine($"- {row} could not be measured: {problem.Split('\n')[0]}");
        return text.ToString();
    }

    // JSON has no infinity: a server that gave nothing is shown as this.
    private static double Finite(double value) => double.IsFinite(value) ? value : 1e9;

    private static string Ratio(double value) => double.IsFinite(value) ? value.ToString(value < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture) : "∞";

    private static string Culture(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private Dictionary<string, T> Merge<T>(Func<RowResult, IEnumerable<KeyValuePair<string, T>>> part) => rows.SelectMany(part).ToDictionary();
}

/// <summary>Where, when and with what it was measured.</summary>
internal sealed record RunDescription(
    string Machine, string Commit, string ModelName, string ModelSha256, DateTimeOffset StartedAt, double Minutes, bool Quick);
