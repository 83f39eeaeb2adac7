using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Documents;

public sealed class DocumentOptions
{
    public const string SectionName = "Knowledge";

    /// <summary>Where uploaded files are kept; shared by all replicas. Made when missing.</summary>
    [Required]
    public string StorageDirectory { get; set; } = ".fleet/data/knowledge";

    /// <summary>Largest file that is taken; a bigger one is refused with 413 while it streams in.</summary>
    [Range(1, long.MaxValue)]
    public long MaxUploadBytes { get; set; } = 100 * 1024 * 1024;
}

[OptionsValidator]
internal sealed partial class DocumentOptionsValidator : IValidateOptions<DocumentOptions>;
