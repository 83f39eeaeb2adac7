using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>Which models there are and which answer when none is named.</summary>
internal sealed class ModelsOptions
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

    /// <summary>Memory all loaded models may take together (file sizes plus a tenth); 0 = no limit. Idle models are evicted, least recently used first.</summary>
    [Range(0, long.MaxValue)]
    public long MemoryBudgetBytes { get; set; }

    /// <summary>A model that failed to load is tried again by a request after this long. Default one minute.</summary>
    public TimeSpan RetryFailedAfter { get; set; } = TimeSpan.FromMinutes(1);
}

[OptionsValidator]
internal sealed partial class ModelsOptionsValidator : IValidateOptions<ModelsOptions>;
