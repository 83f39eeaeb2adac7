using System.Globalization;

namespace Fleet.Benchmarks.Inference;

/// <summary>What <c>./fleet bench inference</c> was asked for.</summary>
internal sealed record InferenceOptions
{
    /// <summary>To try the benchmark itself: a model that takes no time. Its figures mean nothing.</summary>
    public const string SmallModel = "small";

    /// <summary>Ids of rows; empty = those of the scoreboard.</summary>
    public IReadOnlyList<string> Rows { get; init; } = [];

    /// <summary>Fewer pairs and shorter windows: some ten minutes instead of forty.</summary>
    public bool Quick { get; init; }

    public bool Json { get; init; }

    /// <summary>Print the table of the results page.</summary>
    public bool Markdown { get; init; }

    /// <summary>A folder with llama-server and its siblings; null = build them.</summary>
    public string? Reference { get; init; }

    /// <summary>A GGUF file with Qwen2's vocabulary, or <see cref="SmallModel"/>; null = write the benchmark model.</summary>
    public string? Model { get; init; }

    /// <summary>Pairs during which others used more processor than this are repeated.</summary>
    public double MaxOtherCores { get; init; } = 0.10;

    /// <summary>Compute threads of both sides; null = one for each core.</summary>
    public int? Threads { get; init; }

    /// <summary>Further settings of Fleet's inference service, as <c>Name=value</c> of the section Inference.</summary>
    public IReadOnlyList<string> FleetSettings { get; init; } = [];

    /// <exception cref="BenchmarkException">An argument is not known or lacks its value.</exception>
    public static InferenceOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new InferenceOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            options = arguments[i] switch
            {
                "--json" => options with { Json = true },
                "--markdown" => options with { Markdown = true },
                "--quick" => options with { Quick = true },
                "--rows" => options with { Rows = [.. Value().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)] },
                "--reference" => options with { Reference = Value() },
                "--model" => options with { Model = Value() },
                "--threads" => options with { Threads = int.Parse(Value(), CultureInfo.InvariantCulture) },
                "--max-other-cpu" => options with { MaxOtherCores = double.Parse(Value(), CultureInfo.InvariantCulture) },
                "--fleet" => options with { FleetSettings = [.. options.FleetSettings, Value()] },
                var unknown => throw new BenchmarkException($"'{unknown}' is not an option of this benchmark."),
            };

            string Value() => ++i < arguments.Count ? arguments[i] : throw new BenchmarkException($"{arguments[i - 1]} needs a value.");
        }

        return options;
    }
}
