using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>Model files come from anywhere, and a bad one can end the process that opens it: each is opened in a process of its own first.</summary>
internal sealed class ModelCheckOptions
{
    public const string SectionName = "Inference:Check";

    /// <summary>Off only where every file is known to be good. Default true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>How long the checking process may take, and a second more for every 50 MiB of the file. Default one minute.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Memory the checking process may take beside the file itself. Default 2 GiB.</summary>
    [Range(64L << 20, long.MaxValue)]
    public long MemoryBytes { get; set; } = 2L << 30;
}

[OptionsValidator]
internal sealed partial class ModelCheckOptionsValidator : IValidateOptions<ModelCheckOptions>;
