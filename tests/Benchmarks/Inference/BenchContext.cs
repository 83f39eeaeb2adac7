using System.Globalization;
using Fleet.Benchmarks.Measurement;
using Fleet.Provisioning;
using Fleet.Provisioning.Native;
using Fleet.Provisioning.Processes;

namespace Fleet.Benchmarks.Inference;

/// <summary>What every row works with.</summary>
internal sealed class BenchContext(
    InferenceOptions options, FleetPaths paths, ReferenceServer reference, BenchmarkModel model, string directory, Action<string> progress)
{
    // Replies at a time and their length that every row but those about scarcity fits into.
    private const int Sequences = 64;
    private const int ContextTokens = 2560;
    private readonly Dictionary<string, string> _modelDirectories = [];
    private int _directories;

    public InferenceOptions Options => options;

    public FleetPaths Paths => paths;

    public ReferenceServer Reference => reference;

    public BenchmarkModel Model => model;

    public int Threads { get; } = options.Threads ?? Environment.ProcessorCount;

    public CpuMeter Meter { get; } = new();

    public PortAllocator Ports { get; } = new(Path.Combine(directory, "ports.json"));

    public ProcessRegistry Registry { get; } = new(Path.Combine(paths.Run, "bench-processes.json"));

    public bool Quick => options.Quick;

    public void Progress(string text) => progress(text);

    /// <summary>For rows about correctness.</summary>
    public Task<BenchmarkModel> SmallModelAsync() =>
        BenchmarkModel.EnsureAsync(paths.Cache, ModelShape.Small, reference, new Progress<string>(progress), CancellationToken.None);

    /// <summary>A models directory that holds this file as the one model; the same one every time, as in a service that is restarted.</summary>
    public string ModelsDirectory(string modelFile)
    {
        if (!_modelDirectories.TryGetValue(modelFile, out var models))
        {
            models = _modelDirectories[modelFile] = NewDirectory("models");
            File.CreateSymbolicLink(Path.Combine(models, FleetSide.ModelId + ".gguf"), modelFile);
        }

        return models;
    }

    public Protocol Protocol(int pairs, int quickPairs)
    {
        var counted = Quick ? quickPairs : pairs;
        return new Protocol(counted, options.MaxOtherCores, MaxDiscarded: counted);
    }

    public string NewDirectory(string name) =>
        Directory.CreateDirectory(Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{name}-{++_directories}"))).FullName;

    public static int[] RandomTokens(Random random, int count)
    {
        const int Lowest = 1000;
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Lowest, BenchmarkModel.OrdinaryTokens))];
    }

    /// <summary>Fleet with room for <paramref name="sequences"/> replies.</summary>
    public async Task<FleetSide> StartFleetAsync(int sequences = Sequences, int contextTokens = ContextTokens, string? modelFile = null, IReadOnlyDictionary<string, string>? further = null)
    {
        var settings = new Dictionary<string, string>
        {
            ["MaxSequences"] = sequences.ToString(CultureInfo.InvariantCulture),
            ["ContextTokens"] = contextTokens.ToString(CultureInfo.InvariantCulture),
            ["Threads"] = Threads.ToString(CultureInfo.InvariantCulture),
            // Random weights fall into loops that guessing profits from as no real text would let it.
            ["Speculation"] = "false",
        };
        foreach (var (name, value) in further ?? new Dictionary<string, string>())
            settings[name] = value;
        foreach (var setting in options.FleetSettings)
            settings[setting.Split('=', 2)[0]] = setting.Split('=', 2)[^1];
        var fleet = await ReadyAsync(await FleetSide.StartAsync(this, modelFile ?? model.Path, settings));
        // A service runs for weeks; what is measured is not the compiler's first minute.
        fleet.Process.Resume();
        var random = new Random(sequences);
        for (var i = 0; i < 2; i++)
            await fleet.GenerateAllAsync(Enumerable.Range(0, Math.Min(sequences, 8)).Select(_ => new Ask(RandomTokens(random, 16), 32)));
        fleet.Process.Pause();
        return fleet;
    }

    public async Task<AnchorSide> StartAnchorAsync(AnchorVariant variant, int slots, int slotTokens) =>
        await ReadyAsync(await AnchorSide.StartAsync(this, variant, slots, slotTokens));

    /// <summary>Of the tuned variants, the one with the highest score in one try; started.</summary>
    public async Task<(AnchorVariant Variant, AnchorSide Side)> StartBestAnchorAsync(
        int slots, int slotTokens, Func<Side, int, Task<IReadOnlyDictionary<string, double>>> measure, string metric, bool lowerIsBetter = false)
    {
        var best = AnchorVariant.ShortBatches;
        if (!Quick)
        {
            var bestScore = double.NegativeInfinity;
            foreach (var variant in AnchorVariant.Tuned)
            {
                await using var trial = await StartAnchorAsync(variant, slots, slotTokens);
                var visit = await VisitAsync(trial, () => measure(trial, -1));
                var score = lowerIsBetter ? -visit.Metrics[metric] : visit.Metrics[metric];
                Progress(string.Create(CultureInfo.InvariantCulture, $"  trial {variant.Name}: {metric} {visit.Metrics[metric]:0.###}"));
                if (score > bestScore)
                    (best, bestScore) = (variant, score);
            }
        }

        return (best, await StartAnchorAsync(best, slots, slotTokens));
    }

    /// <summary>Measures one side while the others stand still.</summary>
    public async Task<Visit> VisitAsync(Side side, Func<Task<IReadOnlyDictionary<string, double>>> measure)
    {
        side.Process.Resume();
        Meter.Add(side.Process.Id);
        try
        {
            await side.WarmUpAsync();
            var before = Meter.Read();
            var metrics = await measure();
            return new Visit(metrics, CpuReading.OtherCores(before, Meter.Read()));
        }
        finally
        {
            if (side.Process.HasExited)
                Progress($"  a server has ended:\n{side.Process.Tail()}");
            side.Process.Pause();
        }
    }

    /// <summary>Fleet against one or more anchors, in alternating order.</summary>
    public Task<PairedRun> CompareAsync(
        IReadOnlyDictionary<string, Side> sides, Protocol protocol, Func<Side, int, Task<IReadOnlyDictionary<string, double>>> measure, string shown) =>
        PairedRun.MeasureAsync(protocol, [.. sides.Keys], (name, round) => VisitAsync(sides[name], () => measure(sides[name], round)), (round, kept) =>
            Progress("  " + string.Join(", ", sides.Keys.Select(name => string.Create(CultureInfo.InvariantCulture, $"{name} {round.Visits[name].Metrics[shown]:0.###}")))
                + string.Create(CultureInfo.InvariantCulture, $" {shown} (others {round.OtherCores:0.00} cores{(kept ? "" : ", repeated")})")));

    private async Task<T> ReadyAsync<T>(T side)
        where T : Side
    {
        // Pages in the weights and, on Fleet's side, compiles what a request runs through.
        Meter.Add(side.Process.Id);
        await side.WarmUpAsync();
        side.Process.Pause();
        return side;
    }
}
