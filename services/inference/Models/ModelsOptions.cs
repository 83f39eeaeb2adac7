using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>Which models there are, which answer when none is named, and how each differs from the defaults.</summary>
internal sealed class ModelsOptions : IValidatableObject
{
    public const string SectionName = "Inference";

    /// <summary>Folder of *.gguf files; watched. Default: fleet/models in the user's data folder. Created when absent.</summary>
    [Required]
    public string ModelsDirectory { get; set; } = Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "fleet", "models");

    /// <summary>Id of the chat model used when a request names none. Default: the first installed generator, else the extractive engine.</summary>
    public string DefaultChatModel { get; set; } = "";

    /// <summary>
    /// Id of the embedding model used when a request names none. Default: the built-in n-gram embedding. Changing it makes stored vectors
    /// incomparable: knowledge must re-embed.
    /// </summary>
    public string DefaultEmbeddingModel { get; set; } = "";

    /// <summary>
    /// What differs from the defaults, by model id (Inference:Models:&lt;id&gt;:...). An id that no file has is allowed: the model may be installed later.
    /// </summary>
    public IDictionary<string, ModelOptions> Models { get; } = new Dictionary<string, ModelOptions>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// Models by role, in the order they are tried (Inference:Roles:guard:0 = ...). Models that name the role themselves come after. Default: none;
    /// chat, orchestrator, description and customer-service are then filled by the default chat model.
    /// </summary>
    public IDictionary<string, IList<string>> Roles { get; } = new Dictionary<string, IList<string>>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// Memory all loaded models may take together: weights, caches and buffers as computed before loading. 0 = what the machine (its control
    /// group, its GPUs) has free. Idle models are evicted, least recently used first.
    /// </summary>
    [Range(0, long.MaxValue)]
    public long MemoryBudgetBytes { get; set; }

    /// <summary>Memory left to everything else on the machine when <see cref="MemoryBudgetBytes"/> is 0. Default 512 MiB.</summary>
    [Range(0, long.MaxValue)]
    public long MemoryReserveBytes { get; set; } = 512L << 20;

    /// <summary>Memory left on each GPU for its driver and others. Default 768 MiB.</summary>
    [Range(0, long.MaxValue)]
    public long GpuReserveBytes { get; set; } = 768L << 20;

    /// <summary>How long an unused model stays in memory; zero = not at all, negative = until the memory is needed. Default negative.</summary>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(-1);

    /// <summary>Models loaded at a time when the service starts. Default 2.</summary>
    [Range(1, 64)]
    public int PreloadConcurrency { get; set; } = 2;

    /// <summary>A model that failed to load is tried again by a request after this long. Default one minute.</summary>
    public TimeSpan RetryFailedAfter { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>A model's own options; all unset when there are none.</summary>
    public ModelOptions Of(string id) => Models.TryGetValue(id, out var options) ? options : ModelOptions.None;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (id, model) in Models)
        {
            foreach (var (setting, problem) in model.Problems(id))
                yield return new ValidationResult($"{SectionName}:Models:{id}:{setting} {problem}", [nameof(Models)]);
        }

        foreach (var (role, models) in Roles)
        {
            if (models.Any(string.IsNullOrWhiteSpace))
                yield return new ValidationResult($"{SectionName}:Roles:{role} names a model without a name.", [nameof(Roles)]);
        }
    }
}

[OptionsValidator]
internal sealed partial class ModelsOptionsValidator : IValidateOptions<ModelsOptions>;
