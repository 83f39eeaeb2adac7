using System.Globalization;
using System.Text.Json;
using Fleet.Benchmarks.Measurement;
using Fleet.Provisioning.Processes;

namespace Fleet.Benchmarks.Inference;

/// <summary>
/// L1: tokens per second at 1, 4, 16 and 64 streams that start together, from the first request to the last token; and L1e: the speed
/// while all of them decode, against llama.cpp's own loop without any server (llama-batched-bench).
/// </summary>
internal sealed class ThroughputRow : Row
{
    private const int PromptTokens = 32;
    private const int SlotTokens = 256;
    private static readonly int[] Streams = [1, 4, 16, 64];

    public override string Id => "L1";

    public override string Title => "output tokens/s at 1, 4, 16, 64 streams";

    public override async Task MeasureAsync(BenchContext context, RowResult result)
    {
        await using var fleet = await context.StartFleetAsync();
        foreach (var streams in Streams)
        {
            context.Progress($"{Id}: {streams} streams");
            await using var anchor = await context.StartAnchorAsync(AnchorVariant.Default, streams, SlotTokens);
            var (variant, best) = await context.StartBestAnchorAsync(streams, SlotTokens, Measure, "tokens_per_s");
            await using var tuned = best;
            var sides = new Dictionary<string, Side> { [Fleet] = fleet, [Anchor] = anchor, [Tuned] = tuned };
            var run = await context.CompareAsync(sides, context.Protocol(5, 2), Measure, "tokens_per_s");

            result.Count(run);
            result.Flag($"streams_{streams}", sides);
            result.Ratios[$"streams_{streams}"] = run.Ratio("tokens_per_s", Fleet, Anchor);
            result.Ratios[$"streams_{streams}_tuned"] = run.Ratio("tokens_per_s", Fleet, Tuned);
            result.Ratios[$"decode_{streams}"] = run.Ratio("decode_tokens_per_s", Fleet, Anchor);
            result.AddFigures(run, sides.Keys, "tokens_per_s", $"streams_{streams}", "tokens_per_s");
            result.AddFigures(run, sides.Keys, "decode_tokens_per_s", $"decode_{streams}", "tokens_per_s");
            result.Notes.Add($"best tuned at {streams} streams: {variant.Name}");

            Task<IReadOnlyDictionary<string, double>> Measure(Side side, int round) => MeasureAsync(side, streams, round);
        }

        await CeilingAsync(context, fleet, result);
    }

    private static int OutputTokens(int streams) => streams > 4 ? 64 : 128;

    private static async Task<IReadOnlyDictionary<string, double>> MeasureAsync(Side side, int streams, int round)
    {
        var random = new Random(HashCode.Combine(streams, round));
        var replies = await side.GenerateAllAsync(Enumerable.Range(0, streams).Select(_ => new Ask(BenchContext.RandomTokens(random, PromptTokens), OutputTokens(streams))));
        if (replies.Any(reply => !reply.Completed))
            throw new BenchmarkException($"{replies.Count(reply => !reply.Completed)} of {streams} streams did not complete.\n{side.Process.Tail()}");
        return new Dictionary<string, double>
        {
            ["tokens_per_s"] = replies.Sum(reply => reply.Tokens) / Reply.Seconds(replies.Max(reply => reply.LastAt) - replies.Min(reply => reply.Submitted)),
            ["decode_tokens_per_s"] = DecodeSpeed(replies),
        };
    }

    /// <summary>While every stream has begun and none has ended.</summary>
    private static double DecodeSpeed(IReadOnlyList<Reply> replies)
    {
        var from = replies.Max(reply => reply.FirstAt);
        var to = replies.Min(reply => reply.LastAt);
        // Streams that never overlap have no common speed: the whole is then all there is.
        return to > from
            ? replies.Sum(reply => reply.TokensBetween(from, to)) / Reply.Seconds(to - from)
            : replies.Sum(reply => reply.Tokens) / Reply.Seconds(replies.Max(reply => reply.LastAt) - replies.Min(reply => reply.FirstAt));
    }

    /// <summary>Interleaved with Fleet like the servers are, although the program has no service to keep running.</summary>
    private async Task CeilingAsync(BenchContext context, FleetSide fleet, RowResult result)
    {
        foreach (var streams in Streams)
        {
            context.Progress($"{Id}e: {streams} streams against llama-batched-bench");
            var run = await PairedRun.MeasureAsync(context.Protocol(3, 1), [Fleet, "ceiling"], async (side, round) =>
            {
                if (side == Fleet)
                    return await context.VisitAsync(fleet, () => MeasureAsync(fleet, streams, round + 1000));
                var before = context.Meter.Read();
                var speed = await BatchedBenchAsync(context, streams);
                return new Visit(new Dictionary<string, double> { ["decode_tokens_per_s"] = speed }, CpuReading.OtherCores(before, context.Meter.Read()));
            });
            result.Count(run);
            result.Ratios[$"ceiling_{streams}"] = run.Ratio("decode_tokens_per_s", Fleet, "ceiling");
            result.AddFigures(run, ["ceiling"], "decode_tokens_per_s", $"decode_{streams}", "tokens_per_s");
        }
    }

    private static async Task<double> BatchedBenchAsync(BenchContext context, int streams)
    {
        string[] arguments =
        [
            "-m", context.Model.Path, "-t", $"{context.Threads}", "-c", $"{streams * SlotTokens}", "-npp", $"{PromptTokens}", "-ntg", $"{OutputTokens(streams)}",
            "-npl", streams.ToString(CultureInfo.InvariantCulture), "--output-format", "jsonl",
        ];
        var result = await Tool.RunAsync(context.Reference.BatchedBench, arguments, CancellationToken.None);
        var line = result.Output.Split('\n').LastOrDefault(text => text.StartsWith('{'));
        return line is not null
            ? JsonElement.Parse(line).GetProperty("speed_tg").GetDouble()
            : throw new BenchmarkException($"llama-batched-bench said nothing:\n{result.Tail()}");
    }
}
