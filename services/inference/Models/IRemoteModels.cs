using Fleet.Inference.Engine;

namespace Fleet.Inference.Models;

/// <summary>The models that run elsewhere. The seam between the model host and the providers: they are listed like others, and need no loading.</summary>
internal interface IRemoteModels
{
    /// <summary>Does not change while the process runs.</summary>
    IReadOnlyList<ModelDescription> Models { get; }

    /// <summary>Costs nothing and cannot fail: whether the provider answers shows when it is asked.</summary>
    IModelEngine Create(ModelDescription model);
}
