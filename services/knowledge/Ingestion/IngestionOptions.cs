using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Ingestion;

public sealed class IngestionOptions
{
    public const string SectionName = "Knowledge:Ingestion";

    /// <summary>Documents this replica works on at a time.</summary>
    [Range(1, 64)]
    public int Concurrency { get; set; } = 2;

    /// <summary>How long a worker holds a document without a sign of life; then another one takes it.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>How often an idle worker looks for work that no notification announced (retries that have come due, lost leases).</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:10:00")]
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Attempts before a document is given up, interrupted ones included.</summary>
    [Range(1, 1000)]
    public int MaxAttempts { get; set; } = 10;

    /// <summary>Pause after the first failed attempt; doubled for each further one, up to <see cref="MaxRetryDelay"/>.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Longest pause between attempts.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "24:00:00")]
    public TimeSpan MaxRetryDelay { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Longest text that is indexed, in UTF-16 code units; a longer document fails and says so.</summary>
    [Range(1000, 500_000_000)]
    public int MaxCharacters { get; set; } = 20_000_000;

    /// <summary>Texts per embedding call.</summary>
    [Range(1, 64)]
    public int EmbeddingBatch { get; set; } = 64;

    /// <summary>Deadline of one embedding call.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan EmbeddingTimeout { get; set; } = TimeSpan.FromMinutes(1);
}

[OptionsValidator]
internal sealed partial class IngestionOptionsValidator : IValidateOptions<IngestionOptions>;
