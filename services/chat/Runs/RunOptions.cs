using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Runs;

/// <summary>How runs are executed, kept alive and remembered.</summary>
public sealed class RunOptions
{
    public const string SectionName = "Runs";

    /// <summary>Runs this process holds at once, waiting and working. At the limit a new message is answered with 429.</summary>
    [Range(1, 100_000)]
    public int MaxActiveRuns { get; set; } = 1000;

    /// <summary>How long a run stays with a silent owner before another process takes it over. Renewed at every checkpoint.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "00:10:00")]
    public TimeSpan LeaseDuration { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How much text a killed process may lose from the database (the run log, with Redis, loses none).</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:01:00")]
    public TimeSpan CheckpointInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How often a process looks for runs whose owner is gone.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:01:00")]
    public TimeSpan RecoveryInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Attempts of one run over all processes before it is given up as failed: a poisonous run must not kill the fleet in turn.</summary>
    [Range(1, 20)]
    public int MaxAttempts { get; set; } = 4;

    /// <summary>How long the events of a finished run can be replayed one by one; later its stored message is sent instead.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan LogRetention { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>Finished runs kept in memory; the oldest go first.</summary>
    [Range(1, 100_000)]
    public int MaxRetainedLogs { get; set; } = 2000;

    /// <summary>Prompt budget in tokens where the model names no context length.</summary>
    [Range(256, 1_000_000)]
    public int DefaultPromptTokens { get; set; } = 8192;

    /// <summary>Tokens kept free for the reply when the session sets no limit.</summary>
    [Range(16, 100_000)]
    public int ReplyReserveTokens { get; set; } = 1024;

    /// <summary>Passages asked from knowledge.</summary>
    [Range(1, 100)]
    public int Passages { get; set; } = 8;

    /// <summary>Silence after which a stream gets a comment, so that proxies keep it open.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:05:00")]
    public TimeSpan KeepAliveInterval { get; set; } = TimeSpan.FromSeconds(15);
}

[OptionsValidator]
internal sealed partial class RunOptionsValidator : IValidateOptions<RunOptions>;
