using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models.Downloads;

/// <summary>How model files are fetched.</summary>
internal sealed class DownloadsOptions
{
    public const string SectionName = "Inference:Downloads";

    /// <summary>Where "owner/repository/file.gguf" is looked for. The same hub as the command line's.</summary>
    [Required]
    [Url]
    public string HubAddress { get; set; } = "https://huggingface.co";

    /// <summary>Downloads at a time; others wait. Default 2.</summary>
    [Range(1, 32)]
    public int MaxConcurrent { get; set; } = 2;

    /// <summary>Also addresses that begin with http: nobody vouches for what they answer. Default false.</summary>
    public bool AllowHttp { get; set; }

    /// <summary>Also addresses inside this network, which somebody outside could use this service to reach. Default false.</summary>
    public bool AllowPrivateAddresses { get; set; }

    /// <summary>Further attempts after the connection broke or the server was busy; each goes on where the last stopped. Default 8.</summary>
    [Range(0, 1000)]
    public int Retries { get; set; } = 8;

    /// <summary>Wait before the first further attempt; doubles each time, up to a minute. Default one second.</summary>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>A server that sends nothing for so long is given up for this attempt. Default one minute.</summary>
    public TimeSpan Silence { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Space left on the disk: a fleet whose disk is full loses more than a model. Default 1 GiB.</summary>
    [Range(0, long.MaxValue)]
    public long ReserveBytes { get; set; } = 1L << 30;

    /// <summary>Larger files are refused; 0 = any size. Default 0.</summary>
    [Range(0, long.MaxValue)]
    public long MaxBytes { get; set; }
}

[OptionsValidator]
internal sealed partial class DownloadsOptionsValidator : IValidateOptions<DownloadsOptions>;
