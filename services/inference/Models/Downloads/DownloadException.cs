namespace Fleet.Inference.Models.Downloads;

/// <summary>A download that did not succeed; the message is for a person.</summary>
internal sealed class DownloadException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Another attempt may succeed.</summary>
    public bool MayPass { get; init; }

    /// <summary>What has arrived is of no use.</summary>
    public bool Discard { get; init; }

    /// <summary>When the server asked to be left alone until.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
