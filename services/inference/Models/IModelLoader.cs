using Fleet.Inference.Engine;

namespace Fleet.Inference.Models;

/// <summary>Brings a model into memory. The seam between the model host and llama.cpp; the built-in engines need no loading.</summary>
internal interface IModelLoader
{
    /// <summary>Null when models can be loaded; else why not, for a person.</summary>
    string? Unavailable { get; }

    /// <summary>Blocks its thread for as long as it takes. Throws <see cref="EngineException"/> or <see cref="GgufException"/> with a reason for a person.</summary>
    IModelEngine Load(ModelDescription model, ModelPlan plan, IProgress<float> progress, CancellationToken cancellationToken);
}
