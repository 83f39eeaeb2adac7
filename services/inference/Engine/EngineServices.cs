using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Engine.Persistence;
using Fleet.Inference.Engine.Threads;
using Fleet.Inference.Telemetry;

namespace Fleet.Inference.Engine;

/// <summary>What an engine works with beside its model; whatever is null it does without.</summary>
internal sealed record EngineServices
{
    public static EngineServices None { get; } = new();

    /// <summary>Null: the vocabulary's own template, without tools, schemas and reasoning.</summary>
    public IPromptFormat? Format { get; init; }

    /// <summary>Compiles grammars. Null: for the vocabulary, here.</summary>
    public ConstraintFactory? Constraints { get; init; }

    /// <summary>Null: Linux's /proc.</summary>
    public ICpuReader? Processors { get; init; }

    public InferenceMetrics? Metrics { get; init; }

    /// <summary>Guesses whether it pays or not: for tests.</summary>
    public bool AlwaysGuess { get; init; }

    /// <summary>Where prefixes that many requests share outlive the process.</summary>
    public PrefixStore? Prefixes { get; init; }
}
